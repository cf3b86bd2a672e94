/* The text format lines: see text_fuzz.h. */
#include "text_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    text_fuzz(TEXT_LINES, data, size);
    return 0;
}

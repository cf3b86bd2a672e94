/* The text format trie: see text_fuzz.h. */
#include "text_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    text_fuzz(TEXT_TRIE, data, size);
    return 0;
}

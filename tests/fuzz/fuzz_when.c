/* The time grammar: any text gives a time, blanks and separators do not matter, and an offset
 * without digits or with a word that is all letters is now. */
#include "codec/when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now = 1700000000123456789;
    struct str text = str_make(data, size);
    int64_t t = when_parse_ns(text, now);
    char spread[600];
    size_t n = 0;
    bool digits = false;
    for (size_t i = 0; i < size; i++)
        digits |= data[i] >= '0' && data[i] <= '9';
    ASSERT(digits || t == now);
    struct str trimmed = str_trim(text);
    for (size_t i = 0; i < trimmed.n && n + 3 < sizeof spread; i++) {
        spread[n++] = trimmed.p[i];
        spread[n++] = "_, "[i % 3];
    }
    if (trimmed.n <= 200)
        ASSERT(when_parse_ns(str_make(spread, n), now) == t);
    return 0;
}

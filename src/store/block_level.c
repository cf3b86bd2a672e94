/* Levels of blocks and their ranges: pure arithmetic, far ends of int64 included. */
#include "store/block_int.h"

const struct block_level_info block_levels[BLOCK_LEVELS] = {
    [BLOCK_1H] = {"1h", BLOCK_HOUR_NS},
    [BLOCK_6H] = {"6h", 6 * BLOCK_HOUR_NS},
    [BLOCK_24H] = {"24h", 24 * BLOCK_HOUR_NS},
};

bool block_digest_range(enum block_level level, int64_t start_ns, int64_t *ret_from_ns)
{
    int64_t day = block_levels[BLOCK_24H].span_ns, week = 7 * day;
    return level == BLOCK_24H && start_ns % week == 0 &&
           !__builtin_sub_overflow(start_ns, week, ret_from_ns);
}

int64_t block_range_start(enum block_level level, int64_t time_ns)
{
    int64_t span = block_levels[level].span_ns;
    int64_t n = time_ns / span - (time_ns % span < 0);
    return n < INT64_MIN / span ? INT64_MIN : n * span;
}

/* Walks a stack by frame pointers, and across libraries that have none. Private. */
#ifndef AGENTS_CORE_UNWIND_INT_H
#define AGENTS_CORE_UNWIND_INT_H

#include "base/base.h"

struct unwind_area {
    uintptr_t stack_lo, stack_hi; /* of the thread */
    uintptr_t root_fp;            /* frame of the function at which the walk ends; 0: not known */
    uintptr_t text_lo, text_hi;   /* code that keeps frame pointers: the executable's */
};

enum unwind_end {
    UNWIND_COMPLETE,   /* reached the root */
    UNWIND_INCOMPLETE, /* the way up was lost */
    UNWIND_TRUNCATED,  /* more frames than there is room for */
};

struct unwound {
    bool called; /* given: pc is a return address, not where the thread was interrupted */
    enum unwind_end end;
    bool maybe; /* the second frame holds only if the function of the first sets up no frame */
};

/* Innermost first; all but the first (unless `called`) are return addresses. Reads nothing outside
 * [sp, stack_hi) and the text. For signal handlers. */
uint32_t unwind(const struct unwind_area *a, uintptr_t pc, uintptr_t fp, uintptr_t sp,
    uint64_t *ret_pcs, uint32_t max, struct unwound *how);

#endif

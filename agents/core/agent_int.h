/* What the sampler and the counters share. Private. */
#ifndef AGENTS_CORE_AGENT_INT_H
#define AGENTS_CORE_AGENT_INT_H

#include "agents/core/agent.h"
#include "agents/core/unwind_int.h"

/* The stack of the calling thread, from the caller of the caller of this function outward; all are
 * return addresses. Nothing (0 frames) when the thread is not sampled. The caller sets up a frame:
 * it is never inlined, and this call is not its last act. */
__attribute__((noinline)) uint32_t agent_stack_here(
    uint64_t *ret_frames, uint32_t max, enum unwind_end *ret_end);
uint32_t agent_labels_now(void);
/* Room for n + 1: what is not complete gets an outermost frame that says so. */
uint32_t agent_name_frames(struct agent_symbols *symbols, const uint64_t *pcs, uint32_t n,
    struct unwound how, uint64_t *ret_functions);

#endif

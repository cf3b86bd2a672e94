/* See unwind_int.h.
 *
 *     frame with a frame pointer          code of a library: fp means nothing
 *       fp + 8  return address              … words of the library's frames
 *       fp      the caller's fp             a   return address into our text   ◄ looked for
 *       …       locals                      …   the frame of that function of ours
 *       sp
 *
 * Three rules, by where pc is:
 * 1. In our text, interrupted in the first or last instructions of a function (known by their
 *    bytes): its own frame is not there; the return address is on top of the stack.
 * 2. In our text: by the frame pointer. gcc leaves the frame out of functions that call nothing and
 *    keep nothing on the stack, whatever it is told: then fp is the caller's already, and the
 * return address is on top of the stack. Where the word there could be one, it is put in as a frame
 *    that may not be (`maybe`, innermost frame only); who knows the functions decides.
 * 3. Elsewhere (libraries are built without frame pointers): the nearest word on the stack that
 *    points behind a call instruction of our text is taken for the return address, and the frame
 *    is the register's value or a word saved below that address, if either is a frame: behind it
 *    is a return address too, or it is the root. The library's own callers are not shown.
 *
 * Invariants: frames rise strictly, so the walk ends; every read is checked against [sp, stack_hi)
 * or the text. Rule 3 may name a function that had returned already, when its return address is
 * still on the stack: rare, and better than losing the callers of memcpy and inflate.
 *
 * Runs in signal handlers: no locks, no calls outside this file. x86-64. */
#include "agents/core/unwind_int.h"

#include "agents/core/ring_int.h"

enum { SCAN_WORDS = 1024, SCAN_WORDS_IN_ALL = 4096, CALL_BYTES_MAX = 7 };

struct walk {
    const struct unwind_area *a;
    uintptr_t pc, fp, sp;
    uint32_t scanned;
};

AGENT_IN_SIGNAL static uintptr_t word(uintptr_t at)
{
    return *(const volatile uintptr_t *)at;
}

AGENT_IN_SIGNAL static bool in_text(const struct unwind_area *a, uintptr_t pc)
{
    return pc >= a->text_lo && pc < a->text_hi;
}

/* A return address stands behind `call rel32` or `call r/m` (FF /2, 2 to 7 bytes). */
AGENT_IN_SIGNAL static bool is_return(const struct unwind_area *a, uintptr_t v)
{
    if (v < a->text_lo + CALL_BYTES_MAX || v >= a->text_hi)
        return false;
    const uint8_t *p = (const uint8_t *)v;
    if (p[-5] == 0xE8)
        return true;
    for (int n = 2; n <= CALL_BYTES_MAX; n++)
        if (p[-n] == 0xFF && (p[1 - n] & 0x38) == 0x10)
            return true;
    return false;
}

AGENT_IN_SIGNAL static bool fits(const struct walk *w, uintptr_t fp)
{
    const struct unwind_area *a = w->a;
    return fp >= w->sp && fp + 16 <= a->stack_hi && fp % 8 == 0 &&
           (a->root_fp == 0 || fp <= a->root_fp);
}

/* Looks like the frame of a function of ours that stands at `above` or higher. */
AGENT_IN_SIGNAL static bool is_frame(const struct walk *w, uintptr_t fp, uintptr_t above)
{
    return fp > above && fits(w, fp) && (fp == w->a->root_fp || is_return(w->a, word(fp + 8)));
}

/* Rule 1. */
AGENT_IN_SIGNAL static bool step_edge(struct walk *w)
{
    const uint8_t *p = (const uint8_t *)w->pc;
    uintptr_t at = w->sp;
    if (w->pc + 4 > w->a->text_hi)
        return false;
    bool moves = p[0] == 0x48 && p[1] == 0x89 && p[2] == 0xE5;                 /* mov %rsp,%rbp */
    bool marks = p[0] == 0xF3 && p[1] == 0x0F && p[2] == 0x1E && p[3] == 0xFA; /* endbr64 */
    if (moves)
        at += 8;
    else if (!marks && p[0] != 0x55 && p[0] != 0xC3) /* push %rbp, ret */
        return false;
    if (at + 8 > w->a->stack_hi || !is_return(w->a, word(at)))
        return false;
    w->pc = word(at);
    w->sp = at + 8;
    return true;
}

/* Rule 2. */
AGENT_IN_SIGNAL static bool step_frame(struct walk *w)
{
    if (!fits(w, w->fp))
        return false;
    w->pc = word(w->fp + 8);
    w->sp = w->fp + 16;
    w->fp = word(w->fp);
    return w->pc != 0;
}

/* Rule 3. */
AGENT_IN_SIGNAL static bool step_library(struct walk *w)
{
    uintptr_t a = (w->sp + 7) & ~(uintptr_t)7, from = a, end = w->a->stack_hi;
    if (end - a > SCAN_WORDS * 8)
        end = a + SCAN_WORDS * 8;
    while (a + 8 <= end && !is_return(w->a, word(a)))
        a += 8;
    w->scanned += (uint32_t)((a - from) / 8);
    if (a + 8 > end || w->scanned > SCAN_WORDS_IN_ALL)
        return false;
    uintptr_t fp = is_frame(w, w->fp, a) ? w->fp : 0;
    for (uintptr_t at = a; !fp && at > from; at -= 8)
        if (is_frame(w, word(at - 8), a))
            fp = word(at - 8);
    w->pc = word(a);
    w->sp = a + 8;
    w->fp = fp;
    return true;
}

AGENT_IN_SIGNAL uint32_t unwind(const struct unwind_area *a, uintptr_t pc, uintptr_t fp,
    uintptr_t sp, uint64_t *ret_pcs, uint32_t max, struct unwound *how)
{
    struct walk w = {.a = a, .pc = pc, .fp = fp, .sp = sp};
    uint32_t n = 0;
    how->end = UNWIND_INCOMPLETE;
    how->maybe = false;
    if (sp < a->stack_lo || sp >= a->stack_hi) {
        ret_pcs[n++] = pc;
        return n;
    }
    for (;;) {
        if (n == max) {
            how->end = UNWIND_TRUNCATED;
            return n;
        }
        ret_pcs[n++] = w.pc;
        bool ours = in_text(a, w.pc);
        bool innermost = ours && n == 1 && !how->called;
        if (innermost && step_edge(&w))
            continue;
        if (innermost && n < max && sp + 8 <= a->stack_hi && is_return(a, word(sp))) {
            ret_pcs[n++] = word(sp);
            how->maybe = true;
        }
        if (ours && w.fp == a->root_fp && w.fp) {
            how->end = UNWIND_COMPLETE;
            return n;
        }
        if (!(ours ? step_frame(&w) : step_library(&w)))
            return n;
    }
}

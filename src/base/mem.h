/* The heap. malloc and friends are called only in base.
 *
 * Small bounded objects come from mem_new and never fail: if the machine has no memory for a few
 * bytes there is nothing sensible left to do. What input can make large lives in arenas, buffers
 * and segmented vectors, which have a limit and fail with a status. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/base.h"

void *mem_new(size_t n);           /* zeroed; asserts on failure */
void *mem_try(size_t n);           /* not zeroed; NULL on failure */
void *mem_try_zeroed(size_t n);    /* zeroed, untouched where it can be; NULL on failure */
void *mem_grow(void *p, size_t n); /* realloc; NULL on failure, p stays */
void mem_free(void *p);
/* Gives what is free back to the system; some milliseconds. A large question leaves the heap of its
 * thread as large as it made it. */
void mem_trim(void);
/* For a process that answers one request after the other, once at its start: threads share a heap,
 * one for every 8 processors, and what a request has freed, up to 32 MiB, stays for the next one.
 * By default every thread has a heap, which stays as large as its largest request made it, and
 * gives the end of it back after each: the next one meets a page fault every 4 KiB, a sixth of a
 * flame graph's time. */
void mem_keep(void);

#define NEW(type) ((type *)mem_new(sizeof(type)))

#endif

/* A pretend shop that uses CPU time, memory and a lock in known shares: what `everflame demo`
 * profiles. Needs a running agent (agents/core/agent.h) with its thread hooks set. One at a time.
 */
#ifndef CLI_DEMO_SHOP_H
#define CLI_DEMO_SHOP_H

#include "base/status.h"

struct shop;

/* Every other release is slow at something else: see the table of costs. */
struct shop *shop_new(uint32_t release);
void shop_free(struct shop *s);
void shop_set_release(struct shop *s, uint32_t release);
/* Processors the shop keeps busy at its normal pace. */
double shop_cores(uint32_t release);

/* Serves customers at the normal pace, a thread per endpoint, until shop_close. */
enum status shop_open(struct shop *s, struct error *err);
/* The same mix of requests as fast as two threads can, until shop_close: much to sample soon. */
enum status shop_rush(struct shop *s, struct error *err);
void shop_close(struct shop *s);

#endif

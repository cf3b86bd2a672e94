/* What the machine has, as this process may use it: container limits included. */
#ifndef SERVER_MACHINE_H
#define SERVER_MACHINE_H

#include "base/base.h"

uint64_t machine_memory_bytes(void);
uint32_t machine_processors(void);
/* Lets the process open as many files as the system allows it, and says how many that are: the soft
 * limit that shells give is far below what a server with many connections needs. */
uint64_t machine_raise_files(void);
/* Fills the process_* gauges: called by each scrape. */
void machine_metrics(void);

#endif

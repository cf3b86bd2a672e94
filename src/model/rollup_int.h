/* Shared by rollup_write.c and rollup_read.c: the header of a group. */
#ifndef MODEL_ROLLUP_INT_H
#define MODEL_ROLLUP_INT_H

/* header = children << ROLLUP_FLAG_BITS | flags. The *heavy* child is the one both are about. */
enum {
    ROLLUP_NEXT = 1, /* its group follows: it has no ref */
    ROLLUP_REST = 2, /* the node has no self: its total is what the others leave */
    ROLLUP_FLAG_BITS = 2,
    ROLLUP_REF_BYTES = 4,
};

#endif

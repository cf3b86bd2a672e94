/* Private to store: epochs and datasets as the writers see them. A dataset is a part (what readers
 * see) with a lock, indexes and the account of what the log already has. */
#ifndef STORE_EPOCH_INT_H
#define STORE_EPOCH_INT_H

#include "base/thread.h"
#include "store/part.h"

enum { DATASETS_MAX = 1 << 20, SERIES_MAX = 1 << 24, ROWS_MAX = 1 << 28 };

/* Hours of profile time that one tenant may have in memory. */
enum { HOURS_MAX = 64 };

/* The first strings of every dataset, so that a lost series can be named. */
enum { DATASET_STRING_NAME = PART_STRING_NAME, DATASET_STRING_SERVICE_NAME = 3 };

struct epoch;

/* How far the log or a reader is: everything below these ids. */
struct marks {
    struct sym_counts sym;
    uint32_t series, rows;
};

/* What one tenant has in an epoch: made with its first dataset, gone with the epoch. */
struct tenant_use {
    struct str tenant;
    _Atomic uint32_t services, series;
    _Atomic uint32_t series_coming; /* reserved by appends that have not made them yet */
    _Atomic size_t bytes;
    _Atomic uint32_t n_hours; /* the first so many are set and stay */
    int64_t hours[HOURS_MAX]; /* block_hour of its rows, and of appends in flight */
};

struct dataset {
    struct part part; /* first: a part pointer is a dataset pointer */
    struct epoch *epoch;
    struct tenant_use *use; /* of the epoch; NULL when there is no epoch */
    uint32_t id;            /* in the epoch, by creation */

    struct mutex lock;       /* guards everything below and the writer's side of part */
    struct idmap series_ids; /* by part_series.ids */
    struct arena memory;     /* bytes of rows, labels and ids of series */
    size_t index_bytes;
    size_t charged; /* what the epoch's account has of this dataset */
    struct marks logged;
};

/* States: OPEN → SEALED (took its last frame) → gone, when its blocks are published. FAILED is a
 * sealed epoch whose log broke: only what is published will ever count. */
struct epoch {
    uint64_t no;
    _Atomic uint32_t refs;
    _Atomic size_t bytes; /* of all datasets */
    int64_t begun_mono_ns;

    struct mutex lock; /* guards what is below against other writers */
    struct idmap tenant_ids;
    struct segvec tenants; /* struct tenant_use * */
    struct idmap dataset_ids;
    struct segvec datasets; /* struct dataset * */
    _Atomic uint32_t n_datasets;
    size_t index_bytes;

    uint64_t last_batch; /* durable; the committer's, then fixed */
    uint32_t n_segments; /* of its log */
    bool damaged;        /* replay skipped something: its files are kept */
};

struct epoch *epoch_new(uint64_t no);
struct epoch *epoch_ref(struct epoch *ep);
void epoch_unref(struct epoch *ep); /* frees with the last one */

static inline struct dataset *epoch_dataset(const struct epoch *ep, uint32_t i)
{
    return *SEGVEC_AT(&ep->datasets, struct dataset *, i);
}

/* Finds or makes; NULL when the epoch has DATASETS_MAX. */
struct dataset *epoch_dataset_get(struct epoch *ep, struct str tenant, struct str service);
/* The same; NULL also when the tenant has services_max, or is new and there are tenants_max. */
struct dataset *epoch_dataset_get_within(struct epoch *ep, struct str tenant, struct str service,
    uint32_t services_max, uint32_t tenants_max);
struct dataset *epoch_dataset_find(struct epoch *ep, struct str tenant, struct str service);
/* NULL when the tenant has nothing here. *ret_tenants (may be NULL): how many have something. */
struct tenant_use *epoch_tenant_find(struct epoch *ep, struct str tenant, uint32_t *ret_tenants);

/* Notes an hour; one more than HOURS_MAX is not remembered. One writer at a time. */
void tenant_hour_open(struct tenant_use *use, int64_t hour);

/* A dataset; block readers have no epoch, others hold its lock. */
struct dataset *dataset_new(struct epoch *ep, uint32_t id, struct str tenant, struct str service);
void dataset_free(struct dataset *ds);

struct marks dataset_marks(const struct dataset *ds);
/* The series with these ids (layout of part_series.ids), new if there is none; UINT32_MAX when
 * full. Under the lock. */
uint32_t dataset_series(
    struct dataset *ds, const uint32_t *ids, uint32_t n_labels, uint32_t n_types, bool index);
/* Whether the series is there. Under the lock. */
bool dataset_has_series(
    const struct dataset *ds, const uint32_t *ids, uint32_t n_labels, uint32_t n_types);
/* Appends a row; bytes are copied. False when full. Under the lock. */
bool dataset_row(struct dataset *ds, const struct part_row *row);
/* The most its tables of rows and series may grow by, and one more chunk of memory. Under the lock.
 */
size_t dataset_growth(const struct dataset *ds, uint32_t rows);
/* Brings the epoch's account up to date. Under the lock. */
void dataset_charge(struct dataset *ds);
/* No more data: frees what only interning needs. */
void dataset_seal(struct dataset *ds);
/* Makes rows below `to` visible. Only the committer, replay and block readers. */
void dataset_publish(struct dataset *ds, const struct marks *to);

#endif

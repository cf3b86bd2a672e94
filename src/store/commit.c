/* Group commit: one thread turns queued frames into batches, one fdatasync each.
 *
 *     workers ─► queue ─► [ batch ─► write ─► fdatasync ] ─► publish ─► done()
 *
 * While one sync runs, frames gather for the next: the slower the disk, the larger the batch. Order
 * in the queue is order in the log and order of publication.
 *
 * When a write or sync fails:
 *   1. the segment is closed for good; the epoch is sealed with its last durable batch, a new one
 *      takes its place, and everything queued behind is refused (it never touched the disk);
 *   2. the new epoch's log is begun with a record that names that batch: from then on replay stops
 *      there, whatever the failed sync left on the disk;
 *   3. only then do the frames of the failed batch get their ST_UNAVAILABLE: "nothing stored" is
 *      true, and a retry is stored once. If the record cannot be written either, nobody can know:
 *      ST_DATA_LOSS, the connections close unanswered, and the store refuses uploads until a log
 *      can be begun again (tried every second, in a new file each time).
 *
 * A store that is opened on a full disk begins in that last state: it shows what it has. */
#include "store/store_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "store/frame_int.h"

enum { BATCH_BYTES = 8 << 20 };

static void item_free(struct commit_item *item)
{
    epoch_unref(item->epoch);
    buf_done(&item->frame);
    mem_free(item);
}

bool commit_enqueue(struct store *s, struct commit_item *item)
{
    mutex_lock(&s->queue_lock);
    bool room = !s->stopping && s->queue_bytes + item->frame.n <= s->cfg.queue_bytes_max;
    if (room) {
        item->next = NULL;
        *s->queue_tail = item;
        s->queue_tail = &item->next;
        s->queue_bytes += item->frame.n;
        cond_signal(&s->queue_wake);
    }
    mutex_unlock(&s->queue_lock);
    return room;
}

/* Takes frames of one epoch, at most BATCH_BYTES of them and at least one. Empty: stopping. */
static struct commit_item *take_batch(struct store *s, bool wait)
{
    struct commit_item *head = NULL, **tail = &head;
    size_t bytes = 0;
    mutex_lock(&s->queue_lock);
    while (wait && !s->queue_head && !s->stopping)
        cond_wait(&s->queue_wake, &s->queue_lock);
    while (s->queue_head && (!head || (s->queue_head->epoch == head->epoch &&
                                          bytes + s->queue_head->frame.n <= BATCH_BYTES))) {
        struct commit_item *item = s->queue_head;
        s->queue_head = item->next;
        bytes += item->frame.n;
        item->next = NULL;
        *tail = item;
        tail = &item->next;
    }
    if (!s->queue_head)
        s->queue_tail = &s->queue_head;
    s->queue_bytes -= bytes;
    mutex_unlock(&s->queue_lock);
    return head;
}

static void finish(struct commit_item *items, enum status st, const char *text)
{
    struct error err;
    if (st != ST_OK)
        error_set(&err, st, __FILE__, __LINE__, "%s", text);
    for (struct commit_item *item = items, *next; item; item = next) {
        next = item->next;
        item->done(item->ctx, st, st == ST_OK ? NULL : &err);
        item_free(item);
    }
}

static void publish(struct commit_item *items)
{
    for (struct commit_item *item = items; item; item = item->next) {
        for (uint32_t i = 0; i < item->n_sections; i++)
            dataset_publish(item->sections[i].ds, &item->sections[i].to);
        if (item->n_sections) {
            struct str tenant = item->sections[0].ds->part.tenant;
            metric_add(M_PROFILES_STORED, item->n_rows, tenant);
            metric_add(M_SAMPLES_STORED, (double)item->n_samples, tenant);
        }
    }
}

int commit_log_begin(struct store *s, struct epoch *ep, uint64_t previous, uint64_t previous_batch)
{
    struct buf frame;
    int e = wal_segment_open(&s->wal, ep->no, 0);
    if (e) {
        wal_segment_discard(&s->wal);
        return e;
    }
    const struct frame_epoch fe = {ep->no, previous, previous_batch};
    buf_init(&frame, 64);
    frame_epoch_put(&frame, &fe);
    wal_batch_begin(&s->wal);
    wal_batch_frame(&s->wal, buf_view(&frame));
    e = wal_batch_commit(&s->wal);
    buf_done(&frame);
    ep->last_batch = s->wal.durable;
    ep->n_segments = 1;
    if (e)
        wal_segment_discard(&s->wal);
    return e;
}

struct epoch *commit_switch(struct store *s, const char *why_not)
{
    struct epoch *fresh = epoch_new(atomic_fetch_add(&s->next_epoch, 1));
    gate_close(&s->gate);
    struct epoch *old = s->epoch;
    s->epoch = epoch_ref(fresh);
    if (why_not) {
        s->writable = false;
        snprintf(s->why_not, sizeof s->why_not, "%s", why_not);
    }
    mutex_lock(&s->view_lock);
    /* An epoch nobody wrote to has nothing to serve: the new one takes its place. */
    if (s->n_epochs && s->epochs[s->n_epochs - 1] == old && old->n_datasets == 0) {
        epoch_unref(old);
        s->n_epochs--;
    }
    store_epochs_add_locked(s, epoch_ref(fresh));
    mutex_unlock(&s->view_lock);
    gate_open(&s->gate);
    epoch_unref(old);
    return fresh;
}

static void set_writable(struct store *s)
{
    gate_close(&s->gate);
    s->writable = true;
    gate_open(&s->gate);
    metric_set(M_STORE_WRITABLE, 1);
}

/* A new epoch in place of the one that failed, and its log, which says how far that one counts.
 * Somebody may seal the new epoch meanwhile: its log is begun all the same and stays empty. */
static bool begin_after(struct store *s, uint64_t failed, uint64_t last, const char *why)
{
    wal_segment_close(&s->wal);
    struct epoch *fresh = commit_switch(s, why);
    int e = commit_log_begin(s, fresh, failed, last);
    epoch_unref(fresh);
    return e == 0;
}

/* Between two tries; false when the store stops. */
static bool pause_for_retry(struct store *s)
{
    mutex_lock(&s->queue_lock);
    bool stop = s->stopping;
    if (!stop)
        cond_wait_until(&s->queue_wake, &s->queue_lock, clock_mono_ns() + s->cfg.log_retry_ns);
    mutex_unlock(&s->queue_lock);
    return !stop;
}

/* Whatever is queued is of epochs that take nothing any more, or a barrier. */
static void refuse_queue(struct store *s, const char *why)
{
    for (struct commit_item *rest; (rest = take_batch(s, false));)
        finish(rest, ST_UNAVAILABLE, why);
}

/* Tries until the log of a new epoch says how far the failed one counts; false: the store stops. */
static bool begin_again(struct store *s, uint64_t failed, uint64_t last, const char *why)
{
    do {
        refuse_queue(s, why);
        if (!pause_for_retry(s))
            return false;
    } while (!begin_after(s, failed, last, why));
    set_writable(s);
    LOG_INFO("write-ahead log works again", "epoch=%" PRIu64, s->wal.epoch);
    return true;
}

/* Steps 1 to 3 of the head comment. `batch` was written in part or in doubt. */
static void log_failed(struct store *s, struct commit_item *batch, int e)
{
    char why[256];
    uint64_t failed = s->wal.epoch, last = s->wal.durable;
    snprintf(why, sizeof why, "the write-ahead log cannot be written: %s", strerror(e));
    LOG_ERROR("write-ahead log failed", "epoch=%" PRIu64 " last_batch=%" PRIu64 " err=%s", failed,
        last, LOG_STR(str_from(strerror(e))));
    metric_set(M_STORE_WRITABLE, 0);
    bool known = begin_after(s, failed, last, why);
    refuse_queue(s, why);
    finish(batch, known ? ST_UNAVAILABLE : ST_DATA_LOSS, why);
    if (!known) {
        begin_again(s, failed, last, why);
        return;
    }
    set_writable(s);
    LOG_INFO("write-ahead log works again", "epoch=%" PRIu64, s->wal.epoch);
}

/* The log that the batch belongs to is open, with room in its segment. */
static int log_ready(struct store *s, struct epoch *ep)
{
    if (s->wal.file && s->wal.epoch == ep->no) {
        if (s->wal.offset < s->cfg.segment_bytes_max)
            return 0;
        wal_segment_close(&s->wal);
        return wal_segment_open(&s->wal, ep->no, ep->n_segments++);
    }
    uint64_t previous = s->wal.epoch, last = s->wal.durable;
    wal_segment_close(&s->wal);
    return commit_log_begin(s, ep, previous, last);
}

/* Puts the frames on the disk; a batch of barriers alone needs none. */
static int write_batch(struct store *s, struct commit_item *batch)
{
    bool any = false;
    for (struct commit_item *item = batch; item; item = item->next)
        any |= item->frame.n > 0;
    if (!any)
        return 0;
    int e = log_ready(s, batch->epoch);
    if (e)
        return e;
    wal_batch_begin(&s->wal);
    for (struct commit_item *item = batch; item; item = item->next)
        if (item->frame.n)
            wal_batch_frame(&s->wal, buf_view(&item->frame));
    e = wal_batch_commit(&s->wal);
    if (!e)
        batch->epoch->last_batch = s->wal.durable;
    return e;
}

static void commit_batch(struct store *s, struct commit_item *batch)
{
    int e = write_batch(s, batch);
    if (e) {
        log_failed(s, batch, e);
        return;
    }
    publish(batch);
    finish(batch, ST_OK, NULL);
}

static void *committer(void *arg)
{
    struct store *s = arg;
    char why[sizeof s->why_not];
    gate_enter(&s->gate);
    bool begun = s->writable;
    memcpy(why, s->why_not, sizeof why);
    gate_leave(&s->gate);
    if (!begun && !begin_again(s, s->replayed_epoch, s->replayed_batch, why))
        return NULL;
    for (struct commit_item *batch; (batch = take_batch(s, true));)
        commit_batch(s, batch);
    return NULL;
}

enum status commit_start(struct store *s, struct error *err)
{
    metric_set(M_STORE_WRITABLE, s->writable);
    return thread_start(&s->committer, "committer", committer, s, err);
}

void commit_stop(struct store *s)
{
    mutex_lock(&s->queue_lock);
    s->stopping = true;
    cond_broadcast(&s->queue_wake);
    mutex_unlock(&s->queue_lock);
    thread_join(s->committer);
    wal_segment_close(&s->wal);
}

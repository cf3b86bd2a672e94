/* Profiles of the demo to the server: see demo.h. One raw series per profile; pprof bytes live in
 * the batch's arena until it is sent. Failure: a sentence in c->err, and the batch is emptied. */
#include "cli/demo.h"

const struct agent_kind *const demo_kinds[DEMO_KINDS] = {
    [DEMO_CPU] = &agent_kind_cpu, [DEMO_HEAP] = &agent_kind_heap, [DEMO_MUTEX] = &agent_kind_mutex};

#define REQUEST_BYTES_MAX (64 * MIB)

enum { LABELS = 3 };

void demo_batch_init(struct demo_batch *b)
{
    *b = (struct demo_batch){.n = 0};
    arena_init(&b->arena, REQUEST_BYTES_MAX);
}

void demo_batch_done(struct demo_batch *b)
{
    arena_done(&b->arena);
}

static enum status add_series(
    struct cli *c, struct demo_batch *b, const struct demo_profile *p, struct str pprof)
{
    struct m_label_pair *labels = ARENA_ARRAY(&b->arena, struct m_label_pair, LABELS);
    struct m_raw_sample *sample = ARENA_NEW(&b->arena, struct m_raw_sample);
    struct str bytes = arena_str(&b->arena, pprof);
    struct str version = arena_printf(&b->arena, "1.%u.0", p->release);
    ASSERT(b->n < DEMO_BATCH_MAX);
    if (!labels || !sample || !bytes.p || !version.p)
        return cli_no_memory(c);
    labels[0] = (struct m_label_pair){STR("__name__"), str_from(demo_kinds[p->kind]->name)};
    labels[1] = (struct m_label_pair){STR("service_name"), STR("shop")};
    labels[2] = (struct m_label_pair){STR("version"), version};
    sample->raw_profile = bytes;
    b->series[b->n++] = (struct m_raw_series){
        .labels = {labels, LABELS, LABELS}, .samples = {sample, 1, 1}};
    return ST_OK;
}

enum status demo_batch_add(struct cli *c, struct demo_batch *b, const struct demo_profile *p,
    const struct agent_symbols *symbols)
{
    struct agent_report report = {.kind = demo_kinds[p->kind],
        .time_ns = p->time_ns,
        .duration_ns = p->duration_ns,
        .period = p->kind == DEMO_CPU ? NS_PER_S / AGENT_HZ : 1};
    struct buf pprof;
    buf_init(&pprof, REQUEST_BYTES_MAX);
    enum status st = agent_encode(&report, p->stacks, symbols, &pprof, &c->err);
    if (st == ST_OK && pprof.n)
        st = add_series(c, b, p, buf_view(&pprof));
    buf_done(&pprof);
    return st;
}

static enum status send_request(struct cli *c, struct demo_batch *b)
{
    struct m_push_request request = {.series = {b->series, b->n, b->n}};
    struct http_answer answer;
    struct buf body;
    buf_init(&body, REQUEST_BYTES_MAX);
    msg_encode_proto(&m_push_request_desc, &request, &body);
    enum status st = body.failed
                         ? cli_no_memory(c)
                         : http_send(c->http, "/push.v1.PusherService/Push", "application/proto",
                               buf_view(&body), &b->arena, &answer, &c->err);
    buf_done(&body);
    TRY(st);
    return answer.status == 200 ? ST_OK : client_refused(c, &answer);
}

enum status demo_batch_send(struct cli *c, struct demo_batch *b)
{
    enum status st = b->n ? send_request(c, b) : ST_OK;
    b->n = 0;
    arena_reset(&b->arena);
    return st;
}

/* settings.v1.SettingsService: Get, Set, Delete of small named texts per tenant; Grafana's app
 * keeps its own configuration there.
 *
 * One file per tenant, state/<tenant>/settings.pb below the data directory: the protobuf of the
 * answer of Get, replaced as a whole (write, sync, rename). It is read at every call: calls are
 * rare. One lock over all tenants makes read-change-write one step; calls run on HTTP's workers and
 * may wait for the disk there.
 *
 * 1. What Set answered with 200 is on disk.
 * 2. A tenant's file is bounded: SETTINGS_MAX entries, FILE_BYTES. Over it: resource_exhausted. */
#include "base/clock.h"
#include "server/server_int.h"
#include "server/tenant_state.h"

enum { SETTINGS_MAX = 1000, FILE_BYTES = 4 << 20 };

struct setting {
    struct str name, value;
    int64_t modifiedAt;
};
struct settings {
    MSG_LIST(struct setting) settings;
};
struct one_setting { /* SetSettingsRequest and its response */
    struct setting *setting;
};
struct setting_name {
    struct str name;
};

#define FIELD(s, f, number, kind)                                                  \
    {                                                                              \
#f, #f, number, kind, false, offsetof(struct s, f), MSG_NO_HAS, NULL, NULL \
    }
#define DESC(name, s, fields)                             \
    {                                                     \
        name, sizeof(struct s), fields, ARRAY_LEN(fields) \
    }

static const struct msg_field setting_fields[] = {FIELD(setting, name, 1, MSG_STRING),
    FIELD(setting, value, 2, MSG_STRING), FIELD(setting, modifiedAt, 3, MSG_INT64)};
static const struct msg_desc setting_desc = DESC("settings.v1.Setting", setting, setting_fields);
static const struct msg_field settings_fields[] = {{"settings", "settings", 1, MSG_MESSAGE, true,
    offsetof(struct settings, settings), MSG_NO_HAS, &setting_desc, NULL}};
static const struct msg_desc settings_desc = DESC(
    "settings.v1.GetSettingsResponse", settings, settings_fields);
static const struct msg_field one_fields[] = {{"setting", "setting", 1, MSG_MESSAGE, false,
    offsetof(struct one_setting, setting), MSG_NO_HAS, &setting_desc, NULL}};
static const struct msg_desc one_desc = DESC(
    "settings.v1.SetSettingsRequest", one_setting, one_fields);
static const struct msg_desc one_answer_desc = DESC(
    "settings.v1.SetSettingsResponse", one_setting, one_fields);
static const struct msg_desc get_desc = {"settings.v1.GetSettingsRequest", 1, NULL, 0};
static const struct msg_desc deleted_desc = {"settings.v1.DeleteSettingsResponse", 1, NULL, 0};
static const struct msg_field name_fields[] = {FIELD(setting_name, name, 1, MSG_STRING)};
static const struct msg_desc name_desc = DESC(
    "settings.v1.DeleteSettingsRequest", setting_name, name_fields);

static enum status load(
    const struct state_file *p, struct arena *arena, struct settings *ret, struct error *err)
{
    struct str raw; /* decoded strings are views of it */
    bool any;
    void *msg = NULL;
    struct error why = {0};
    *ret = (struct settings){0};
    enum status st = state_read(p, FILE_BYTES, arena, &raw, &any, &why);
    if (st == ST_OK && any)
        st = msg_decode_proto(&settings_desc, raw, arena, &msg, &why);
    if (st != ST_OK)
        FAIL(err, ST_INTERNAL, "settings cannot be read: %.*s", STR_ARG(error_str(&why)));
    if (msg)
        *ret = *(struct settings *)msg;
    return ST_OK;
}

static enum status save(const struct state_file *p, const struct settings *all, struct error *err)
{
    struct buf raw;
    buf_init(&raw, FILE_BYTES);
    msg_encode_proto(&settings_desc, all, &raw);
    if (raw.failed || all->settings.n > SETTINGS_MAX) {
        buf_done(&raw);
        FAIL(err, ST_RESOURCE_EXHAUSTED, "a tenant may have %d settings of %d bytes together",
            SETTINGS_MAX, FILE_BYTES);
    }
    enum status st = state_write(p, buf_view(&raw), err);
    buf_done(&raw);
    return st;
}

/* Where the name is or would be: the list is sorted. */
static uint32_t find(const struct settings *all, struct str name)
{
    uint32_t i = 0;
    while (i < all->settings.n && str_cmp(all->settings.v[i].name, name) < 0)
        i++;
    return i;
}

static bool is_at(const struct settings *all, uint32_t i, struct str name)
{
    return i < all->settings.n && str_eq(all->settings.v[i].name, name);
}

static enum status do_get(const struct state_file *p, struct connect_call *call,
    const void *request, const void **ret_rs, struct error *err)
{
    (void)request;
    struct settings *all = ARENA_NEW(call->arena, struct settings);
    if (!all)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory");
    TRY(load(p, call->arena, all, err));
    *ret_rs = all;
    return ST_OK;
}

static enum status do_set(const struct state_file *p, struct connect_call *call,
    const void *request, const void **ret_rs, struct error *err)
{
    struct setting *in = ((const struct one_setting *)request)->setting;
    struct settings all;
    if (!in)
        FAIL(err, ST_INVALID_ARGUMENT, "no setting values provided");
    if (!in->name.n)
        FAIL(err, ST_INVALID_ARGUMENT, "the setting has no name");
    if (in->modifiedAt <= 0)
        in->modifiedAt = clock_wall_ns() / NS_PER_MS;
    TRY(load(p, call->arena, &all, err));
    uint32_t at = find(&all, in->name);
    if (is_at(&all, at, in->name)) {
        if (all.settings.v[at].modifiedAt > in->modifiedAt)
            FAIL(err, ST_ALREADY_EXISTS, "a newer value of the setting exists");
    } else {
        struct setting *added = VEC_PUSH(call->arena, all.settings);
        if (!added)
            FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory");
        memmove(&all.settings.v[at + 1], &all.settings.v[at],
            (all.settings.n - 1 - at) * sizeof *all.settings.v);
    }
    all.settings.v[at] = *in;
    TRY(save(p, &all, err));
    *ret_rs = request;
    return ST_OK;
}

static enum status do_delete(const struct state_file *p, struct connect_call *call,
    const void *request, const void **ret_rs, struct error *err)
{
    static const struct m_empty empty;
    struct str name = ((const struct setting_name *)request)->name;
    struct settings all;
    if (!name.n)
        FAIL(err, ST_INVALID_ARGUMENT, "the setting has no name");
    TRY(load(p, call->arena, &all, err));
    uint32_t at = find(&all, name);
    *ret_rs = &empty;
    if (!is_at(&all, at, name))
        return ST_OK;
    all.settings.n--;
    memmove(&all.settings.v[at], &all.settings.v[at + 1],
        (all.settings.n - at) * sizeof *all.settings.v);
    return save(p, &all, err);
}

typedef enum status (*settings_fn)(const struct state_file *p, struct connect_call *call,
    const void *request, const void **ret_rs, struct error *err);

struct settings_method {
    struct rpc_row rpc;
    settings_fn fn;
};
static const struct settings_method methods[] = {
    {{"/settings.v1.SettingsService/Get", "settings_v1_settingsservice_get", &get_desc,
         &settings_desc},
        do_get},
    {{"/settings.v1.SettingsService/Set", "settings_v1_settingsservice_set", &one_desc,
         &one_answer_desc},
        do_set},
    {{"/settings.v1.SettingsService/Delete", "settings_v1_settingsservice_delete", &name_desc,
         &deleted_desc},
        do_delete},
};

static enum status call_method(struct server *s, struct connect_call *call, const void *request,
    const void **ret_rs, struct error *err)
{
    struct str tenant;
    struct state_file p;
    const struct settings_method *m = call->method->row;
    TRY(handler_only_tenant(s, call->rq, &tenant, err));
    TRY(state_file_at(config_data_dir(s->config), tenant, "", STR("settings.pb"), &p, err));
    mutex_lock(&s->state_lock);
    enum status st = m->fn(&p, call, request, ret_rs, err);
    mutex_unlock(&s->state_lock);
    return st;
}

static void handle(struct connect_call *call, const void *request, void *ctx)
{
    struct error err = {0};
    const void *rs = NULL;
    if (call_method(ctx, call, request, &rs, &err) == ST_OK)
        connect_reply(call, rs);
    else
        connect_fail(call, &err);
}

void settings_rpc_routes(struct server *s, struct route_list *l)
{
    route_add_service(l, &(struct connect_method){.fn = handle, .ctx = s, .message_bytes_max = MIB},
        methods, sizeof *methods, ARRAY_LEN(methods));
}

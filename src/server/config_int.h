/* Between the files of the configuration: values, the table's look-ups, the strict YAML walk. */
#ifndef SERVER_CONFIG_INT_H
#define SERVER_CONFIG_INT_H

#include "server/config.h"

struct config_value {
    bool b;
    int64_t i;
    uint64_t u;
    double f;
    struct str s;         /* a view of the text */
    const void *compiled; /* of CONFIG_RULES and its like; kept by ingest/compiled.h */
};

/* Whether the type's values are compiled from JSON; and doing so, *ret NULL for an empty one. */
bool config_is_compiled(enum config_type type);
enum status config_compile(
    enum config_type type, struct str json, const void **ret, struct error *err);

/* false: not a value of that type; *ret_range: it is one, but out of range. */
bool config_value_parse(
    enum config_type type, struct str text, struct config_value *ret_value, bool *ret_range);
/* Canonical text of the member at p. */
void config_value_format(enum config_type type, const void *p, struct buf *out);
/* Copies the value to the member at p; strings go to the arena. False: it is full. */
bool config_value_store(
    enum config_type type, const struct config_value *v, void *p, struct arena *arena);
/* Duration grammars; false on bad text or overflow. */
bool config_duration_parse(struct str text, int64_t *ret_ns);
bool config_xduration_parse(struct str text, int64_t *ret_ns);

/* -1 when there is none. */
int config_find_flag(struct str flag);
int config_find_yaml(struct str path);
bool config_is_block(struct str path);

static inline void *config_member(struct config *c, const struct config_setting *s)
{
    return (char *)c + s->offset;
}

/* Sets row i from text that config_value_parse took. False: the arena is full. */
bool config_set(struct config *c, int i, struct str text, enum config_source source);

enum status config_flags_parse(
    struct config *c, int argc, char **argv, bool apply_all, struct error *err);

/* A strict YAML file. Leaves go to `set`; problems are collected, one line each. */
struct config_sink {
    void *ctx;
    bool (*set)(void *ctx, int row, struct str text); /* false: out of memory */
    /* Set: the root has one key, `overrides`, of tenants with limits; called before the settings of
     * each tenant, `empty` for a null entry. */
    bool (*tenant)(void *ctx, struct str tenant, bool empty);
};
enum status config_yaml_read(
    struct str text, const char *name, const struct config_sink *sink, struct error *err);

#endif

/* The tables of otlp_json_int.h: one row per field, by rising number. Names, numbers and types are
 * compared with the texts in proto/opentelemetry by a unit test. Everything is constant. */
#include "codec/otlp_json_int.h"

#define ONE(name, json, number, kind)                        \
    {                                                        \
        name, json, number, false, 0, OTLP_JSON_##kind, NULL \
    }
#define MANY(name, json, number, kind)                      \
    {                                                       \
        name, json, number, true, 0, OTLP_JSON_##kind, NULL \
    }
#define ID(name, json, number, bytes)                           \
    {                                                           \
        name, json, number, false, bytes, OTLP_JSON_BYTES, NULL \
    }
#define SUB(name, json, number, sub)                            \
    {                                                           \
        name, json, number, false, 0, OTLP_JSON_MESSAGE, &(sub) \
    }
#define SUBS(name, json, number, sub)                          \
    {                                                          \
        name, json, number, true, 0, OTLP_JSON_MESSAGE, &(sub) \
    }
#define MESSAGE(fields, proto_name)           \
    {                                         \
        proto_name, fields, ARRAY_LEN(fields) \
    }

static const struct otlp_json_message any_value; /* contains itself */

static const struct otlp_json_field array_value_fields[] = {
    SUBS("values", "values", 1, any_value),
};
static const struct otlp_json_message array_value = MESSAGE(
    array_value_fields, "opentelemetry.proto.common.v1.ArrayValue");

static const struct otlp_json_field key_value_fields[] = {
    ONE("key", "key", 1, STRING),
    SUB("value", "value", 2, any_value),
    ONE("key_strindex", "keyStrindex", 3, INT32),
};
static const struct otlp_json_message key_value = MESSAGE(
    key_value_fields, "opentelemetry.proto.common.v1.KeyValue");

static const struct otlp_json_field key_value_list_fields[] = {
    SUBS("values", "values", 1, key_value),
};
static const struct otlp_json_message key_value_list = MESSAGE(
    key_value_list_fields, "opentelemetry.proto.common.v1.KeyValueList");

static const struct otlp_json_field any_value_fields[] = {
    ONE("string_value", "stringValue", 1, STRING),
    ONE("bool_value", "boolValue", 2, BOOL),
    ONE("int_value", "intValue", 3, INT64),
    ONE("double_value", "doubleValue", 4, DOUBLE),
    SUB("array_value", "arrayValue", 5, array_value),
    SUB("kvlist_value", "kvlistValue", 6, key_value_list),
    ONE("bytes_value", "bytesValue", 7, BYTES),
    ONE("string_value_strindex", "stringValueStrindex", 8, INT32),
};
static const struct otlp_json_message any_value = MESSAGE(
    any_value_fields, "opentelemetry.proto.common.v1.AnyValue");

static const struct otlp_json_field scope_fields[] = {
    ONE("name", "name", 1, STRING),
    ONE("version", "version", 2, STRING),
    SUBS("attributes", "attributes", 3, key_value),
    ONE("dropped_attributes_count", "droppedAttributesCount", 4, UINT32),
};
static const struct otlp_json_message scope = MESSAGE(
    scope_fields, "opentelemetry.proto.common.v1.InstrumentationScope");

static const struct otlp_json_field entity_ref_fields[] = {
    ONE("schema_url", "schemaUrl", 1, STRING),
    ONE("type", "type", 2, STRING),
    MANY("id_keys", "idKeys", 3, STRING),
    MANY("description_keys", "descriptionKeys", 4, STRING),
};
static const struct otlp_json_message entity_ref = MESSAGE(
    entity_ref_fields, "opentelemetry.proto.common.v1.EntityRef");

static const struct otlp_json_field resource_fields[] = {
    SUBS("attributes", "attributes", 1, key_value),
    ONE("dropped_attributes_count", "droppedAttributesCount", 2, UINT32),
    SUBS("entity_refs", "entityRefs", 3, entity_ref),
};
static const struct otlp_json_message resource = MESSAGE(
    resource_fields, "opentelemetry.proto.resource.v1.Resource");

static const struct otlp_json_field value_type_fields[] = {
    ONE("type_strindex", "typeStrindex", 1, INT32),
    ONE("unit_strindex", "unitStrindex", 2, INT32),
};
static const struct otlp_json_message value_type = MESSAGE(
    value_type_fields, "opentelemetry.proto.profiles.v1development.ValueType");

static const struct otlp_json_field sample_fields[] = {
    ONE("stack_index", "stackIndex", 1, INT32),
    MANY("attribute_indices", "attributeIndices", 2, INT32),
    ONE("link_index", "linkIndex", 3, INT32),
    MANY("values", "values", 4, INT64),
    MANY("timestamps_unix_nano", "timestampsUnixNano", 5, FIXED64),
};
static const struct otlp_json_message sample = MESSAGE(
    sample_fields, "opentelemetry.proto.profiles.v1development.Sample");

static const struct otlp_json_field profile_fields[] = {
    SUB("sample_type", "sampleType", 1, value_type),
    SUBS("samples", "samples", 2, sample),
    ONE("time_unix_nano", "timeUnixNano", 3, FIXED64),
    ONE("duration_nano", "durationNano", 4, UINT64),
    SUB("period_type", "periodType", 5, value_type),
    ONE("period", "period", 6, INT64),
    ID("profile_id", "profileId", 7, 16),
    ONE("dropped_attributes_count", "droppedAttributesCount", 8, UINT32),
    ONE("original_payload_format", "originalPayloadFormat", 9, STRING),
    ONE("original_payload", "originalPayload", 10, BYTES),
    MANY("attribute_indices", "attributeIndices", 11, INT32),
};
static const struct otlp_json_message profile = MESSAGE(
    profile_fields, "opentelemetry.proto.profiles.v1development.Profile");

static const struct otlp_json_field scope_profiles_fields[] = {
    SUB("scope", "scope", 1, scope),
    SUBS("profiles", "profiles", 2, profile),
    ONE("schema_url", "schemaUrl", 3, STRING),
};
static const struct otlp_json_message scope_profiles = MESSAGE(
    scope_profiles_fields, "opentelemetry.proto.profiles.v1development.ScopeProfiles");

static const struct otlp_json_field resource_profiles_fields[] = {
    SUB("resource", "resource", 1, resource),
    SUBS("scope_profiles", "scopeProfiles", 2, scope_profiles),
    ONE("schema_url", "schemaUrl", 3, STRING),
};
static const struct otlp_json_message resource_profiles = MESSAGE(
    resource_profiles_fields, "opentelemetry.proto.profiles.v1development.ResourceProfiles");

static const struct otlp_json_field mapping_fields[] = {
    ONE("memory_start", "memoryStart", 1, UINT64),
    ONE("memory_limit", "memoryLimit", 2, UINT64),
    ONE("file_offset", "fileOffset", 3, UINT64),
    ONE("filename_strindex", "filenameStrindex", 4, INT32),
    MANY("attribute_indices", "attributeIndices", 5, INT32),
};
static const struct otlp_json_message mapping = MESSAGE(
    mapping_fields, "opentelemetry.proto.profiles.v1development.Mapping");

static const struct otlp_json_field line_fields[] = {
    ONE("function_index", "functionIndex", 1, INT32),
    ONE("line", "line", 2, INT64),
    ONE("column", "column", 3, INT64),
};
static const struct otlp_json_message line = MESSAGE(
    line_fields, "opentelemetry.proto.profiles.v1development.Line");

static const struct otlp_json_field location_fields[] = {
    ONE("mapping_index", "mappingIndex", 1, INT32),
    ONE("address", "address", 2, UINT64),
    SUBS("lines", "lines", 3, line),
    MANY("attribute_indices", "attributeIndices", 4, INT32),
};
static const struct otlp_json_message location = MESSAGE(
    location_fields, "opentelemetry.proto.profiles.v1development.Location");

static const struct otlp_json_field function_fields[] = {
    ONE("name_strindex", "nameStrindex", 1, INT32),
    ONE("system_name_strindex", "systemNameStrindex", 2, INT32),
    ONE("filename_strindex", "filenameStrindex", 3, INT32),
    ONE("start_line", "startLine", 4, INT64),
};
static const struct otlp_json_message function = MESSAGE(
    function_fields, "opentelemetry.proto.profiles.v1development.Function");

static const struct otlp_json_field link_fields[] = {
    ID("trace_id", "traceId", 1, 16),
    ID("span_id", "spanId", 2, 8),
};
static const struct otlp_json_message link = MESSAGE(
    link_fields, "opentelemetry.proto.profiles.v1development.Link");

static const struct otlp_json_field attribute_fields[] = {
    ONE("key_strindex", "keyStrindex", 1, INT32),
    SUB("value", "value", 2, any_value),
    ONE("unit_strindex", "unitStrindex", 3, INT32),
};
static const struct otlp_json_message attribute = MESSAGE(
    attribute_fields, "opentelemetry.proto.profiles.v1development.KeyValueAndUnit");

static const struct otlp_json_field stack_fields[] = {
    MANY("location_indices", "locationIndices", 1, INT32),
};
static const struct otlp_json_message stack = MESSAGE(
    stack_fields, "opentelemetry.proto.profiles.v1development.Stack");

static const struct otlp_json_field dictionary_fields[] = {
    SUBS("mapping_table", "mappingTable", 1, mapping),
    SUBS("location_table", "locationTable", 2, location),
    SUBS("function_table", "functionTable", 3, function),
    SUBS("link_table", "linkTable", 4, link),
    MANY("string_table", "stringTable", 5, STRING),
    SUBS("attribute_table", "attributeTable", 6, attribute),
    SUBS("stack_table", "stackTable", 7, stack),
};
static const struct otlp_json_message dictionary = MESSAGE(
    dictionary_fields, "opentelemetry.proto.profiles.v1development.ProfilesDictionary");

static const struct otlp_json_field request_fields[] = {
    SUBS("resource_profiles", "resourceProfiles", 1, resource_profiles),
    SUB("dictionary", "dictionary", 2, dictionary),
};
const struct otlp_json_message otlp_json_request = MESSAGE(request_fields,
    "opentelemetry.proto.collector.profiles.v1development.ExportProfilesServiceRequest");

/* Hostile protobuf as any of our messages; what decodes must survive both encodings. */
#include "fuzz_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_msg(data, size, msg_decode_proto);
}

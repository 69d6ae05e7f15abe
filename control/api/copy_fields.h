// SPDX-License-Identifier: BSD-3-Clause
// What the keys of a `set` change, and nothing else.
#ifndef GODWIT_CONTROL_API_COPY_FIELDS_H_
#define GODWIT_CONTROL_API_COPY_FIELDS_H_

#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "control/api/config.pb.h"

namespace godwit {

// Copies the named fields of `from` into `into`; "timeouts.udp" goes inside.
// A field that is empty in `from` is cleared, and with its last field the
// message that it was in.
absl::Status CopyFields(const google::protobuf::Message& from,
                        const std::vector<std::string>& fields,
                        google::protobuf::Message& into);

// The same for a queue. With what is to be checked goes how often.
absl::Status CopyFields(const api::Queue& from,
                        const std::vector<std::string>& fields,
                        api::Queue& into);

}  // namespace godwit

#endif  // GODWIT_CONTROL_API_COPY_FIELDS_H_

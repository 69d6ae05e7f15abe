// SPDX-License-Identifier: BSD-3-Clause
// What is text: protobuf, JSON and the config file hold UTF-8 only.
#ifndef GODWIT_CONTROL_API_UTF8_H_
#define GODWIT_CONTROL_API_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace godwit {

// Bytes of the UTF-8 character at the beginning of `text`; 0 if there is none
// (RFC 3629: shortest forms only, no surrogates).
size_t Utf8Length(absl::string_view text);

bool IsUtf8(absl::string_view text);

}  // namespace godwit

#endif  // GODWIT_CONTROL_API_UTF8_H_

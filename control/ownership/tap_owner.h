// SPDX-License-Identifier: BSD-3-Clause
// Whose a TAP is: what its alias says. A name that godwit is to use may be
// somebody else's interface, which must come to no harm.
#ifndef GODWIT_CONTROL_OWNERSHIP_TAP_OWNER_H_
#define GODWIT_CONTROL_OWNERSHIP_TAP_OWNER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/net/address.h"

namespace godwit {

// kFound: somebody else made it and nobody has it open. It is used as it is,
// and stays when we go.
enum class TapOrigin { kOurs, kFound };

// `netns` is a name under /run/netns, empty for the caller's own, in all of
// these.

// OK if the name is free (kOurs), or a TAP that we may use: marked as ours or
// as found by an earlier run, or unmarked with nobody attached. Else
// AlreadyExists: "an interface of that name exists and is not a TAP of godwit".
absl::StatusOr<TapOrigin> CheckTap(const std::string& name,
                                   const std::string& netns);

// Same, and nobody may take packets from it, whoever made it: for who is to
// open it. The error names it.
absl::StatusOr<TapOrigin> CheckTapIsIdle(const std::string& name,
                                         const std::string& netns);

// What programs on the kernel's side go by: as it is, or what it is to have
// after each start.
MacAddress MacOfTap(const std::string& name, const std::string& netns);

// Writes into the alias what CheckTap is to find.
absl::Status MarkTap(const std::string& name, const std::string& netns,
                     TapOrigin origin);

// Deletes a TAP that is marked as ours; whether there was one.
absl::StatusOr<bool> DeleteOurTap(const std::string& name,
                                  const std::string& netns);

// Undoes MarkTap: deletes what is marked as ours, or what was to be ours and
// was not marked yet, and takes the mark off what was found. Anything else of
// that name stays.
absl::Status LeaveTap(const std::string& name, const std::string& netns,
                      TapOrigin origin);

}  // namespace godwit

#endif  // GODWIT_CONTROL_OWNERSHIP_TAP_OWNER_H_

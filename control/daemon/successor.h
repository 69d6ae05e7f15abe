// SPDX-License-Identifier: BSD-3-Clause
// The next godwitd in the place of this one: the same process, so that a
// service manager sees none end and none begin.
#ifndef GODWIT_CONTROL_DAEMON_SUCCESSOR_H_
#define GODWIT_CONTROL_DAEMON_SUCCESSOR_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace godwit {

// The file of this program, as it is called now: what is installed there later
// is the next version. Empty if the system does not say.
std::string ProgramFile();

// Executes `program` with this one's arguments and no descriptor but the
// standard ones and `carriers`, of TAPs. Returns only if that can't be done.
absl::Status Become(const std::string& program, char** argv,
                    const std::vector<int>& carriers);

// First thing in each: notes what Become() gives on. Children of the one before
// are still this process's, and somebody must hear of their end.
void BeginLife();
// The carriers of the one before are closed: the TAPs are open anew.
void DropInherited();

}  // namespace godwit

#endif  // GODWIT_CONTROL_DAEMON_SUCCESSOR_H_

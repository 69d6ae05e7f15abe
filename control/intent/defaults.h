// SPDX-License-Identifier: BSD-3-Clause
// What a key means when it is not written.
#ifndef GODWIT_CONTROL_INTENT_DEFAULTS_H_
#define GODWIT_CONTROL_INTENT_DEFAULTS_H_

#include "control/api/godwit.pb.h"

namespace godwit {

// `config` with every default filled in that does not depend on the machine
// (machine.h has those). `health` and `announce` stay absent where they are;
// limits, `vlan` and `mtu` have no default. An uplink whose device the kernel
// does not keep gets the first free name of gw0, gw1, ... as `kernel`.
api::Config WithDefaults(api::Config config);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_DEFAULTS_H_

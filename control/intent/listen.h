// SPDX-License-Identifier: BSD-3-Clause
// Whether this machine would let a program or a device listen somewhere.
#ifndef GODWIT_CONTROL_INTENT_LISTEN_H_
#define GODWIT_CONTROL_INTENT_LISTEN_H_

#include <string>

#include "dataplane/net/address.h"

namespace godwit {

// Why nobody can listen on TCP at `where`, of IPv4, now, as what it is not:
// "free: another program listens there". Empty if one can, or if this user may
// not try.
std::string WhyNotListen(const AddressAndPort& where);

// The same of a device that makes its socket at the absolute `path`: "possible:
// its directory /x is not there".
std::string WhyNoSocket(const std::string& path);

}  // namespace godwit

#endif  // GODWIT_CONTROL_INTENT_LISTEN_H_

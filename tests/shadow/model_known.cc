// SPDX-License-Identifier: BSD-3-Clause
// What the model knows of the configuration and of sessions.
#include <algorithm>

#include "tests/shadow/model.h"

namespace godwit::shadow {

bool Model::IsServiceAddress(const Address& address) const {
  for (const auto& [name, service] : world_.services) {
    if (std::ranges::count(service.addresses, address) != 0) return true;
  }
  return false;
}

bool Model::IsUnicast(const Address& address) const {
  return std::ranges::count(world_.unicast, address) != 0;
}

bool Model::IsDirect(const Address& address) const {
  return std::ranges::any_of(world_.direct, [&address](const Network& network) {
    return address.In(network.address, network.length);
  });
}

bool Model::ServesAddress(const std::string& queue,
                          const Address& address) const {
  for (const auto& [name, service] : world_.services) {
    if (std::ranges::count(service.queues, queue) != 0 &&
        std::ranges::count(service.addresses, address) != 0) {
      return true;
    }
  }
  return false;
}

std::string Model::ServiceAt(const Address& address, unsigned protocol,
                             unsigned l4port) const {
  for (const auto& [name, service] : world_.services) {
    if (std::ranges::count(service.addresses, address) == 0) continue;
    for (const Endpoint& endpoint : service.endpoints) {
      if (endpoint.protocol == protocol && l4port >= endpoint.low &&
          l4port <= endpoint.high) {
        return name;
      }
    }
  }
  return "";
}

bool Model::HasQueue(const std::string& service,
                     const std::string& queue) const {
  const auto at = world_.services.find(service);
  return at != world_.services.end() && world_.queues.contains(queue) &&
         std::ranges::count(at->second.queues, queue) != 0;
}

const SessionKey* Model::SessionFrom(const std::string& queue,
                                     unsigned protocol,
                                     const shadow::End& inside,
                                     const shadow::End& remote) const {
  const auto at = sessions_.find({queue, protocol, inside, remote});
  return at == sessions_.end() ? nullptr : &at->first;
}

const SessionKey* Model::SessionTo(unsigned protocol,
                                   const shadow::End& outside,
                                   const shadow::End& remote) const {
  for (const auto& [key, session] : sessions_) {
    if (std::get<1>(key) == protocol && std::get<3>(key) == remote &&
        session.outside == outside) {
      return &key;
    }
  }
  return nullptr;
}

const Address* Model::Unicast(bool v6) const {
  for (const Address& address : world_.unicast) {
    if (address.v6 == v6) return &address;
  }
  return nullptr;
}

}  // namespace godwit::shadow

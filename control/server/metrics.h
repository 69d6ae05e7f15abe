// SPDX-License-Identifier: BSD-3-Clause
//
// The metrics page: what a node counts, in Prometheus' text format, asked of
// the node at the moment of the scrape. Nothing is kept here.
#ifndef GODWIT_CONTROL_SERVER_METRICS_H_
#define GODWIT_CONTROL_SERVER_METRICS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "control/api/godwit.pb.h"
#include "control/server/node.h"

namespace prometheus {
class Collectable;
class Exposer;
}  // namespace prometheus

namespace godwit {

// Serves http://LISTEN/metrics from Start() until destruction.
class MetricsServer {
 public:
  // `config.listen` is ADDRESS:PORT of IPv4. Absent or empty means
  // off, and a null pointer is returned. `node` must outlive the server.
  // INVALID_ARGUMENT if it is no such pair, UNAVAILABLE if it can't be bound.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(
      const api::Metrics& config, Node& node);

  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;
  // A scrape that is running is answered first.
  ~MetricsServer();

 private:
  MetricsServer(std::shared_ptr<prometheus::Collectable> source,
                std::unique_ptr<prometheus::Exposer> exposer);

  std::shared_ptr<prometheus::Collectable> source_;
  std::unique_ptr<prometheus::Exposer> exposer_;  // goes before its source
};

}  // namespace godwit

#endif  // GODWIT_CONTROL_SERVER_METRICS_H_

// SPDX-License-Identifier: BSD-3-Clause
// The product's real workers and the shadow model, side by side: each step is
// done by both, and compared.
#ifndef GODWIT_TESTS_SHADOW_TWIN_H_
#define GODWIT_TESTS_SHADOW_TWIN_H_

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "tests/shadow/model.h"
#include "tests/support/packet_builder.h"
#include "tests/support/snapshot_builder.h"
#include "tests/support/walk.h"

namespace godwit::shadow {

// One step; what its numbers mean depends on what there is by then, so that
// any part of a sequence is one, too.
struct Op {
  unsigned kind = 0;  // in percent of Twin::kWeights
  unsigned who = 0;
  unsigned what = 0;
  unsigned how = 0;
};
std::ostream& operator<<(std::ostream& out, const Op& op);

struct Shape {
  unsigned workers = 1;
  bool endpoint_independent = false;
};

class Twin {
 public:
  explicit Twin(const Shape& shape);
  // "", or what was different.
  std::string Run(const std::vector<Op>& ops);
  // How often each kind of end was met, over all that ran.
  static std::string Census();

 private:
  struct Sent {
    std::string device;
    godwit::Bytes frame;
    bool v6;
  };
  struct Got {
    Arrival arrival;
    bool v6;
  };

  std::string Do(const Op& op);
  std::string Client(const Op& op);
  std::string ServiceAnswers(const Op& op);
  std::string Originate(const Op& op);
  std::string Remote(const Op& op);
  std::string Stranger(const Op& op);
  std::string ErrorFromOutside(const Op& op);
  std::string ErrorFromInside(const Op& op);
  std::string Mutate(const Op& op);
  std::string Fragments(const Op& op);
  std::string Kernel(const Op& op);
  std::string Fill(const Op& op);
  std::string Time(const Op& op);
  std::string Reconfigure(const Op& op);

  PacketBuilder Segment(unsigned protocol, bool v6, const shadow::End& from,
                        const shadow::End& to, const Op& op) const;
  std::string Try(const std::string& device, const PacketBuilder& packet) {
    return Try(device, packet.Frame(), packet.source().IsV4());
  }
  std::string Try(std::string device, const godwit::Bytes& frame, bool v4);
  std::string Quiet(const std::vector<Arrival>& arrivals);
  Seen Look(const std::vector<Arrival>& arrivals);
  std::string CompareState() const;
  // The same for both.
  std::string Publish();

  World told_;
  SnapshotBuilder world_;
  std::unique_ptr<Walk> walk_;
  Model model_;
  std::map<std::string, uint64_t> last_;
  std::vector<Sent> sent_;
  std::vector<Got> got_;
};

}  // namespace godwit::shadow

#endif  // GODWIT_TESTS_SHADOW_TWIN_H_

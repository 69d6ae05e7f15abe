// SPDX-License-Identifier: BSD-3-Clause
// The shadow model: a second opinion on every packet, from the contract and
// the conformance page alone. Where the node is free (which l4port, which
// queue of several, which identifier) the model takes what it sees, if it is
// allowed, and holds the node to it from then on.
//
// No file of the model includes a header of the product or of its tests
// (no_product_headers.py).
#ifndef GODWIT_TESTS_SHADOW_MODEL_H_
#define GODWIT_TESTS_SHADOW_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/shadow/model_flow.h"
#include "tests/shadow/model_packet.h"
#include "tests/shadow/model_world.h"

namespace godwit::shadow {

// How one packet must end.
struct Fate {
  enum class End { kDelivered, kSent, kPunted, kDropped, kEchoed };
  enum class Answer { kNone, kMay, kMust };

  End end = End::kDropped;
  std::string device;  // where it leaves
  Reasons reasons;     // one of them, of a drop
  Answer answer = Answer::kNone;
  // What becomes of its ends; nothing else but checksums may change.
  std::optional<shadow::End> source;
  std::optional<shadow::End> destination;
  // Of an ICMP error: of the packet that it quotes.
  std::optional<shadow::End> quoted_source;
  std::optional<shadow::End> quoted_destination;
  bool fresh_id = false;  // FRG-09: an identifier of the node's own

  static Fate Dropped(Reasons reasons, Answer answer = Answer::kNone) {
    Fate fate;
    fate.reasons = std::move(reasons);
    fate.answer = answer;
    return fate;
  }
  static Fate To(End end, std::string device) {
    Fate fate;
    fate.end = end;
    fate.device = std::move(device);
    return fate;
  }
};

class Model {
 public:
  explicit Model(World world) : world_(std::move(world)) {}

  // `packet` came in by `from`: "uplink", "kernel" or a queue; and what was
  // seen of it. "", or what is wrong.
  std::string Judge(const std::string& from, const Bytes& packet, bool v6,
                    const Seen& seen);
  // Time has passed, or the configuration changed: nothing may leave.
  std::string JudgeQuiet(const Seen& seen);
  void Change(const World& world);
  void Advance(int64_t milliseconds);

  // Whether a session's end is within what a timer may be late.
  bool Undecided() const;
  size_t sessions() const { return sessions_.size(); }
  size_t bindings() const;
  // Buffers that wait for a first fragment.
  size_t waiting() const;
  const std::map<SessionKey, Session>& all_sessions() const {
    return sessions_;
  }
  const std::map<InboundKey, Inbound>& all_inbound() const { return inbound_; }

 private:
  using Answer = Fate::Answer;

  // One datagram in pieces.
  struct Piece {
    std::string from;
    Packet packet;
  };
  struct Datagram {
    int64_t since = 0;
    std::optional<Fate> fate;  // the first's
    std::map<size_t, size_t> got;
    std::vector<Piece> waiting;
    bool spoiled = false;  // an overlap
    std::optional<uint32_t> id;
    Bytes in;  // put together
    Bytes out;
    size_t put = 0;  // of it, in pieces that begin at these
    std::set<size_t> done;
    std::optional<size_t> total;
    std::optional<Packet> first_in;
    std::optional<Packet> first_out;
  };
  using DatagramKey =
      std::tuple<std::string, Address, Address, uint32_t, unsigned>;

  // --- What becomes of a packet (model.cc, model_queue.cc, model_icmp.cc).
  Fate Decide(const std::string& from, const Packet& packet);
  Fate FromUplink(const Packet& packet);
  Fate FromKernel(const Packet& packet);
  Fate FromQueue(const std::string& queue, const Packet& packet);
  Fate ToService(const Packet& packet, const shadow::End& client);
  Fate ToUnicast(const Packet& packet);
  Fate Refused(const Packet& packet, const Address& address) const;
  Fate Reply(const std::string& queue, const Packet& packet);
  Fate Originate(const std::string& queue, const Packet& packet);
  Fate OriginateNew(const std::string& queue, const Packet& packet, bool same,
                    bool local);
  Fate Through(const SessionKey& key, const Packet& packet);
  Fate Passes(const SessionKey& key, Session session, const Packet& packet);
  Fate ErrorToService(const Packet& packet);
  Fate ErrorToUnicast(const Packet& packet);
  Fate ErrorFromQueue(const std::string& queue, const Packet& packet);
  Fate ErrorBack(const SessionKey& key, const Quote& quote) const;
  Reasons FaultsOfError(const Packet& packet, const Quote& quote,
                        bool live) const;
  // The l4port that a new session has; nullopt: none is free.
  std::optional<unsigned> ChooseL4port(const SessionKey& key,
                                       const Packet& packet);
  std::set<unsigned> Free(const SessionKey& key) const;
  std::optional<unsigned> ShownL4port(const Packet& packet,
                                      const Address& unicast) const;
  // The queue of a client's flow; "": none is alive.
  std::string ChooseQueue(const std::string& service, const InboundKey& key);
  bool Known(const InboundKey& key) const;
  bool IsReply(const std::string& queue, const Packet& packet) const;

  // --- What is known.
  bool IsServiceAddress(const Address& address) const;
  bool IsUnicast(const Address& address) const;
  bool IsDirect(const Address& address) const;
  bool ServesAddress(const std::string& queue, const Address& address) const;
  std::string ServiceAt(const Address& address, unsigned protocol,
                        unsigned l4port) const;
  bool HasQueue(const std::string& service, const std::string& queue) const;
  const SessionKey* SessionFrom(const std::string& queue, unsigned protocol,
                                const shadow::End& inside,
                                const shadow::End& remote) const;
  const SessionKey* SessionTo(unsigned protocol, const shadow::End& outside,
                              const shadow::End& remote) const;
  const Address* Unicast(bool v6) const;
  bool Saw(const Reasons& reasons) const;
  void Complain(const std::string& text);

  // --- What must be seen then (model_check.cc).
  struct Expected {
    std::string device;
    std::vector<Bytes> any_of;
    std::optional<size_t> but;  // 2 bytes there are looked at later
  };
  void Ends(const std::string& from, const Packet& packet, const Fate& fate);
  void Count(const std::string& counter, int64_t by = 1) {
    counters_[counter] += by;
  }
  Expected Rewritten(const Packet& packet, const Fate& fate) const;
  Expected RewrittenError(const Packet& packet, const Fate& fate) const;
  bool TakeOut(const Expected& expected, Bytes* found);
  void TakeAnswer(const std::string& from, const Packet& packet,
                  const Fate& fate);
  std::string WrongAnswer(const Packet& packet, const Fate& fate,
                          const Packet& answer) const;
  void TakeEcho(const Packet& packet);
  std::string Verdict();

  // --- Fragments (model_fragments.cc).
  void JudgeFragment(const std::string& from, const Packet& packet);
  void Spoil(Datagram& datagram);
  void Again(Datagram& datagram, const std::string& from, const Packet& packet);
  void PieceLeaves(Datagram& datagram, const std::string& from,
                   const Packet& packet);
  void PutTogether(Datagram& datagram, const Packet& packet, const Bytes& out);
  void ForgetDatagrams(int64_t pieces);

  World world_;
  Timeouts timeouts_;
  int64_t now_ = 0;
  std::map<SessionKey, Session> sessions_;
  std::map<InboundKey, Inbound> inbound_;
  // What the configuration of today alone has decided (P11).
  std::map<std::tuple<std::string, unsigned, shadow::End, shadow::End>,
           std::string>
      steered_;
  std::map<DatagramKey, Datagram> datagrams_;
  std::set<DatagramKey> whole_;
  std::map<std::tuple<Address, Address, unsigned>, std::set<uint32_t>> ids_;

  // Of the packet that is being judged.
  const Seen* seen_ = nullptr;
  std::vector<Out> left_;  // of what was seen
  std::map<std::string, int64_t> counters_;
  std::string complaints_;
  unsigned answers_ = 0;
};

}  // namespace godwit::shadow

#endif  // GODWIT_TESTS_SHADOW_MODEL_H_

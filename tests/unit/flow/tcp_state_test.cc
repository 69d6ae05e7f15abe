// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/tcp_state.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace godwit {
namespace {

constexpr TcpEvent kEvents[kTcpEvents] = {
    TcpEvent::kSyn, TcpEvent::kSynAck, TcpEvent::kAck,
    TcpEvent::kFin, TcpEvent::kRst,    TcpEvent::kImpossible};

// RFC 7857 Figure 1 and RFC 6146 3.5.2.2 as a table, written from the RFCs and
// conformance rows TMR-05..11, TCP-01..08: a row per state and side, a column
// per event. "+" restarts the deadline, in the timeout class of the new state;
// "!" is nat_tcp_nosyn, "?" tcp_flags.
//
//   CL no flow   OP INIT        MI joined midstream   ES ESTABLISHED
//   CF, SF the client's or the server's FIN seen      BF both
//   TR TRANS     RC, RS BF and then the client's or the server's SYN
constexpr char kTable[] = R"(
CL client  OP+ CL!  CL!  CL!  CL!  CL?
CL server  CL! CL!  CL!  CL!  CL!  CL!
OP client  OP+ OP   OP   OP   OP   OP?
OP server  ES+ ES+  OP   OP   OP   OP
MI client  OP+ MI+  MI+  MI   MI   MI?
MI server  ES+ ES+  ES+  SF+  MI   MI
ES client  ES+ ES+  ES+  CF+  TR+  ES?
ES server  ES+ ES+  ES+  SF+  TR+  ES
CF client  CF+ CF+  CF+  CF+  TR+  CF?
CF server  CF+ CF+  CF+  BF+  TR+  CF
SF client  SF+ SF+  SF+  BF+  TR+  SF?
SF server  SF+ SF+  SF+  SF+  TR+  SF
BF client  RC  RC   BF   BF   BF   BF?
BF server  RS  RS   BF   BF   BF   BF
TR client  ES+ ES+  ES+  ES+  TR   TR?
TR server  ES+ ES+  ES+  ES+  TR   TR
RC client  RC  RC   RC   RC   RC   RC?
RC server  ES+ ES+  RC   RC   RC   RC
RS client  ES+ ES+  RS   RS   RS   RS?
RS server  RS  RS   RS   RS   RS   RS
)";

const std::map<std::string, TcpState> kStates = {
    {"CL", TcpState::kClosed},       {"OP", TcpState::kOpening},
    {"MI", TcpState::kMidstream},    {"ES", TcpState::kEstablished},
    {"CF", TcpState::kClientFin},    {"SF", TcpState::kServerFin},
    {"BF", TcpState::kClosing},      {"TR", TcpState::kReset},
    {"RC", TcpState::kReopenClient}, {"RS", TcpState::kReopenServer}};

TcpTimeout ExpectedTimeout(const std::string& state) {
  if (state == "ES" || state == "CF" || state == "SF")
    return TcpTimeout::kEstablished;
  if (state == "CL" || state == "OP" || state == "MI")
    return TcpTimeout::kOpening;
  return TcpTimeout::kClosing;
}

// TCP-13: every (state, event) pair, both ways.
TEST(TcpStateTest, EveryCellIsTheOneOfTheTable) {
  std::istringstream table(kTable);
  int cells = 0;
  std::string from, side_name, cell;
  while (table >> from >> side_name) {
    const TcpSide side =
        side_name == "client" ? TcpSide::kClient : TcpSide::kServer;
    for (TcpEvent event : kEvents) {
      ASSERT_TRUE(table >> cell);
      SCOPED_TRACE(from + " " + side_name + " event " +
                   std::to_string(static_cast<int>(event)));
      const std::string next = cell.substr(0, 2);
      const char mark = cell.size() > 2 ? cell[2] : ' ';
      const TcpTransition& got = TcpNext(kStates.at(from), side, event);
      EXPECT_EQ(got.next, kStates.at(next));
      EXPECT_EQ(got.timeout, ExpectedTimeout(next));
      EXPECT_EQ(got.timeout, TcpTimeoutOf(got.next));
      EXPECT_EQ(got.deadline == TcpDeadline::kRestart, mark == '+');
      EXPECT_EQ(got.verdict, mark == '!'   ? TcpVerdict::kNoSyn
                             : mark == '?' ? TcpVerdict::kBadFlags
                                           : TcpVerdict::kPass);
      ++cells;
    }
  }
  EXPECT_EQ(cells, 10 * 2 * 6);
}

// The same from the other end: an originated flow as four facts about what has
// been seen, stepped by rules, over all strings of up to six events (the 2 *
// 6 = 12 of them): 3.3 million.
struct Facts {
  bool open = false;       // the client's SYN was let through
  bool answered = false;   // ... and the server's
  bool fin[2] = {};        // by side
  bool syn_after[2] = {};  // a SYN after both FIN, by side
  bool reset = false;      // a RST, and nothing else since

  bool both_fin() const { return fin[0] && fin[1]; }
  void Established() {
    *this = {};
    open = answered = true;
  }
  // "no flow", or the timeout class and whether the deadline restarts.
  struct Effect {
    bool alive;
    TcpTimeout timeout;
    bool restart;
  };
  Effect Step(size_t side, TcpEvent event) {
    const bool restart = Apply(side, event);
    TcpTimeout timeout = TcpTimeout::kEstablished;
    if (!answered) timeout = TcpTimeout::kOpening;
    if (both_fin() || reset) timeout = TcpTimeout::kClosing;
    return {open, timeout, restart};
  }

 private:
  bool Apply(size_t side, TcpEvent event) {
    const bool syn = event == TcpEvent::kSyn || event == TcpEvent::kSynAck;
    if (event == TcpEvent::kImpossible) return false;
    if (!answered) {
      if (side == 1 && syn && open) {
        Established();
        return true;
      }
      if (side != 0 || event != TcpEvent::kSyn) return false;
      open = true;
      return true;
    }
    if (both_fin()) {
      if (!syn) return false;
      if (syn_after[1 - side]) {
        Established();
        return true;
      }
      syn_after[side] = true;
      return false;
    }
    if (event == TcpEvent::kRst) {
      if (reset) return false;
      reset = true;
      fin[0] = fin[1] = false;
      return true;
    }
    if (reset) {
      Established();
    } else if (event == TcpEvent::kFin) {
      fin[side] = true;
    }
    return true;
  }
};

void Walk(const Facts& facts, TcpState state, int depth, uint64_t& strings) {
  if (depth == 0) return;
  for (size_t side = 0; side < 2; ++side) {
    for (TcpEvent event : kEvents) {
      ++strings;
      Facts then = facts;
      const Facts::Effect expected = then.Step(side, event);
      const TcpTransition& got =
          TcpNext(state, static_cast<TcpSide>(side), event);
      ASSERT_EQ(got.next != TcpState::kClosed, expected.alive);
      if (expected.alive) {
        ASSERT_EQ(got.timeout, expected.timeout);
        ASSERT_EQ(got.deadline == TcpDeadline::kRestart, expected.restart);
      }
      Walk(then, got.next, depth - 1, strings);
      if (testing::Test::HasFatalFailure()) return;
    }
  }
}

TEST(TcpStateTest, EveryStringOfSixEventsFollowsTheRules) {
  uint64_t strings = 0;
  Walk(Facts{}, TcpState::kClosed, 6, strings);
  EXPECT_EQ(strings, 3'257'436u);
}

// The state after "side flags" steps, flags of S A F R.
std::string After(const std::vector<std::string>& steps) {
  TcpState state = TcpState::kClosed;
  for (const std::string& step : steps) {
    uint8_t flags = 0;
    for (char c : step.substr(1)) {
      if (c == 'S') flags |= tcp_flag::kSyn;
      if (c == 'A') flags |= tcp_flag::kAck;
      if (c == 'F') flags |= tcp_flag::kFin;
      if (c == 'R') flags |= tcp_flag::kRst;
    }
    const TcpSide side = step[0] == '>' ? TcpSide::kClient : TcpSide::kServer;
    state = TcpNext(state, side, TcpEventOf(flags)).next;
  }
  return std::string(TcpStateName(state));
}

TEST(TcpStateTest, ConformanceRows) {
  EXPECT_EQ(After({">S", "<SA", ">A"}), "established");              // TCP-01
  EXPECT_EQ(After({">S", "<S", ">SA", "<SA"}), "established");       // TCP-02
  EXPECT_EQ(After({">S", ">S", ">S"}), "opening");                   // TCP-03
  EXPECT_EQ(After({">S", "<SA", "<SA", ">A"}), "established");       // TCP-04
  EXPECT_EQ(After({">S", "<SA", "<R", ">A"}), "established");        // TCP-07
  EXPECT_EQ(After({">A"}), "closed");                                // TCP-08
  EXPECT_EQ(After({">S", "<SA", ">FA", "<A"}), "client-fin");        // TMR-07
  EXPECT_EQ(After({">S", "<SA", ">FA", "<FA", ">A"}), "closing");    // TMR-08
  EXPECT_EQ(After({">S", "<SA", "<R"}), "reset");                    // TMR-09
  EXPECT_EQ(After({">S", "<SA", "<R", "<R"}), "reset");              // TMR-10
  EXPECT_EQ(After({">S", "<SA", ">FA", "<FA", ">S"}), "reopening");  // TMR-11
  EXPECT_EQ(After({">S", "<SA", ">FA", "<FA", ">S", "<SA"}), "established");
  EXPECT_EQ(After({">S", "<RA"}), "opening");
}

TEST(TcpStateTest, FlagsMakeEvents) {
  using namespace tcp_flag;
  EXPECT_EQ(TcpEventOf(kSyn), TcpEvent::kSyn);
  EXPECT_EQ(TcpEventOf(kSyn | 0xc0), TcpEvent::kSyn);  // ECN setup (RFC 3168)
  EXPECT_EQ(TcpEventOf(kSyn | kAck), TcpEvent::kSynAck);
  EXPECT_EQ(TcpEventOf(kAck), TcpEvent::kAck);
  EXPECT_EQ(TcpEventOf(kAck | 0x08), TcpEvent::kAck);  // PSH
  EXPECT_EQ(TcpEventOf(kFin), TcpEvent::kFin);
  EXPECT_EQ(TcpEventOf(kFin | kAck), TcpEvent::kFin);
  EXPECT_EQ(TcpEventOf(kRst), TcpEvent::kRst);
  EXPECT_EQ(TcpEventOf(kRst | kAck), TcpEvent::kRst);
  for (const int flags : {0, 0x08, 0x20, 0xc0, 0x03, 0x06, 0x07, 0xff}) {
    EXPECT_EQ(TcpEventOf(static_cast<uint8_t>(flags)), TcpEvent::kImpossible)
        << flags;
  }
}

TEST(TcpStateTest, FlowsJoinedInTheMiddleWaitForAnAnswer) {
  EXPECT_EQ(TcpJoin(TcpEvent::kSyn), TcpState::kOpening);
  for (TcpEvent event : {TcpEvent::kSynAck, TcpEvent::kAck, TcpEvent::kFin,
                         TcpEvent::kRst, TcpEvent::kImpossible}) {
    EXPECT_EQ(TcpJoin(event), TcpState::kMidstream);
  }
}

}  // namespace
}  // namespace godwit

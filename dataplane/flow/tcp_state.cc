// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/flow/tcp_state.h"

#include <array>

namespace godwit {
namespace {

using Event = TcpEvent;
using State = TcpState;

constexpr std::array<std::string_view, kTcpStates> kNames = {
    "closed",     "opening", "midstream", "established", "client-fin",
    "server-fin", "closing", "reset",     "reopening",   "reopening"};

constexpr std::array<TcpTimeout, kTcpStates> kTimeouts = {
    TcpTimeout::kOpening,      // kClosed
    TcpTimeout::kOpening,      // kOpening
    TcpTimeout::kOpening,      // kMidstream
    TcpTimeout::kEstablished,  // kEstablished
    TcpTimeout::kEstablished,  // kClientFin: one FIN keeps the long timer
    TcpTimeout::kEstablished,  // kServerFin
    TcpTimeout::kClosing,      // kClosing
    TcpTimeout::kClosing,      // kReset
    TcpTimeout::kClosing,      // kReopenClient
    TcpTimeout::kClosing,      // kReopenServer
};

struct Step {
  State next;
  TcpDeadline deadline;
};
constexpr Step Keep(State next) { return {next, TcpDeadline::kKeep}; }
constexpr Step Restart(State next) { return {next, TcpDeadline::kRestart}; }

constexpr bool IsOpen(State state) {
  return state == State::kEstablished || state == State::kClientFin ||
         state == State::kServerFin;
}

// Established, and half-closed in either way.
constexpr Step FromOpen(State state, TcpSide side, Event event) {
  if (event == Event::kRst) return Restart(State::kReset);
  if (event != Event::kFin) return Restart(state);
  const State own_fin =
      side == TcpSide::kClient ? State::kClientFin : State::kServerFin;
  const bool first_fin = state == State::kEstablished || state == own_fin;
  return Restart(first_fin ? own_fin : State::kClosing);
}

// Both FIN seen, and perhaps one side's SYN after them.
constexpr Step FromClosing(State state, TcpSide side, Event event) {
  if (event != Event::kSyn && event != Event::kSynAck) return Keep(state);
  const State own_syn =
      side == TcpSide::kClient ? State::kReopenClient : State::kReopenServer;
  const bool first_syn = state == State::kClosing || state == own_syn;
  return first_syn ? Keep(own_syn) : Restart(State::kEstablished);
}

constexpr Step FromOpening(TcpSide side, Event event) {
  if (side == TcpSide::kClient) {
    return event == Event::kSyn ? Restart(State::kOpening)
                                : Keep(State::kOpening);
  }
  const bool answered = event == Event::kSyn || event == Event::kSynAck;
  return answered ? Restart(State::kEstablished) : Keep(State::kOpening);
}

constexpr Step FromMidstream(TcpSide side, Event event) {
  // Not kReset: from there the client alone would become established.
  if (event == Event::kRst) return Keep(State::kMidstream);
  if (side == TcpSide::kServer) {
    return Restart(event == Event::kFin ? State::kServerFin
                                        : State::kEstablished);
  }
  if (event == Event::kSyn) return Restart(State::kOpening);
  return event == Event::kFin ? Keep(State::kMidstream)
                              : Restart(State::kMidstream);
}

constexpr Step FromReset(Event event) {
  return event == Event::kRst ? Keep(State::kReset)
                              : Restart(State::kEstablished);
}

constexpr Step StepOf(State state, TcpSide side, Event event) {
  if (event == Event::kImpossible) return Keep(state);
  if (IsOpen(state)) return FromOpen(state, side, event);
  if (state == State::kOpening) return FromOpening(side, event);
  if (state == State::kMidstream) return FromMidstream(side, event);
  if (state == State::kReset) return FromReset(event);
  if (state != State::kClosed) return FromClosing(state, side, event);
  const bool opens = side == TcpSide::kClient && event == Event::kSyn;
  return opens ? Restart(State::kOpening) : Keep(State::kClosed);
}

constexpr TcpVerdict VerdictOf(State state, TcpSide side, Event event,
                               State next) {
  if (event == Event::kImpossible && side == TcpSide::kClient)
    return TcpVerdict::kBadFlags;
  const bool belongs = state != State::kClosed || next != State::kClosed;
  return belongs ? TcpVerdict::kPass : TcpVerdict::kNoSyn;
}

constexpr Event EventOf(unsigned flags) {
  const bool syn = (flags & tcp_flag::kSyn) != 0;
  const bool fin = (flags & tcp_flag::kFin) != 0;
  const bool rst = (flags & tcp_flag::kRst) != 0;
  const bool ack = (flags & tcp_flag::kAck) != 0;
  if (syn && (fin || rst)) return Event::kImpossible;
  if (syn) return ack ? Event::kSynAck : Event::kSyn;
  if (rst) return Event::kRst;
  if (fin) return Event::kFin;
  return ack ? Event::kAck : Event::kImpossible;
}

constexpr tcp_internal::Table MakeTable() {
  tcp_internal::Table table{};
  for (size_t s = 0; s < kTcpStates; ++s) {
    for (size_t d = 0; d < 2; ++d) {
      for (size_t e = 0; e < kTcpEvents; ++e) {
        const State state{static_cast<uint8_t>(s)};
        const TcpSide side{static_cast<uint8_t>(d)};
        const Event event{static_cast<uint8_t>(e)};
        const Step step = StepOf(state, side, event);
        table.transition[s][d][e] = {
            step.next, kTimeouts[static_cast<size_t>(step.next)], step.deadline,
            VerdictOf(state, side, event, step.next)};
      }
    }
  }
  for (unsigned flags = 0; flags < 32; ++flags) {
    table.event_of_flags[flags] = EventOf(flags);
  }
  return table;
}

}  // namespace

namespace tcp_internal {
constexpr Table kTable = MakeTable();
}  // namespace tcp_internal

TcpTimeout TcpTimeoutOf(TcpState state) {
  return kTimeouts[static_cast<size_t>(state)];
}

std::string_view TcpStateName(TcpState state) {
  return kNames[static_cast<size_t>(state)];
}

}  // namespace godwit

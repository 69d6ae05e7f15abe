// SPDX-License-Identifier: BSD-3-Clause
// What the steering program says about each class of packet.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "tests/unit/bpf/steer_fixture.h"

namespace godwit {
namespace {

TEST_P(SteerCaseTest, GoesToItsOwner) {
  const Bytes frame = Frame(GetParam().packet);
  EXPECT_EQ(Without(GetParam().owner), Run(frame));
  SetSocket(true);
  EXPECT_EQ(With(GetParam().owner), Run(frame));
}

TEST_P(SteerCaseTest, IsJudgedByWhatIsThereWhenCutOff) {
  const Bytes frame = Frame(GetParam().packet);
  for (size_t size = 14; size < frame.size(); ++size) {
    SCOPED_TRACE(size);
    const Bytes cut(frame.begin(), frame.begin() + static_cast<long>(size));
    SetSocket(false);
    EXPECT_EQ(Without(Expected(size - 14)), Run(cut));
    SetSocket(true);
    EXPECT_EQ(With(Expected(size - 14)), Run(cut));
  }
}

TEST_P(SteerCaseTest, IsPassedWithATagWhereThereIsNone) {
  SetSocket(true);
  const Bytes frame = Frame(GetParam().packet);
  EXPECT_EQ(XDP_PASS, Run(Tagged(0x8100, 100, frame)));
  EXPECT_EQ(XDP_PASS, Run(Tagged(0x88a8, 100, frame)));
}

TEST_P(SteerCaseTest, IsJudgedTheSameOnItsVlanAndPassedOnAnother) {
  SteeringTables tables = Tables();
  tables.vlan = 100;
  ASSERT_TRUE(program_->Publish(tables).ok());
  const Bytes frame = Frame(GetParam().packet);
  for (const bool present : {false, true}) {
    SetSocket(present);
    const Owner owner = GetParam().owner;
    const int expected = present ? With(owner) : Without(owner);
    EXPECT_EQ(expected, Run(Tagged(0x8100, 100, frame)));
    EXPECT_EQ(expected, Run(Tagged(0x8100, 0xf000 | 100, frame)))
        << "priority bits are no part of the identifier";
    EXPECT_EQ(XDP_PASS, Run(Tagged(0x8100, 101, frame)));
    EXPECT_EQ(XDP_PASS, Run(Tagged(0x8100, 0, frame)));
    EXPECT_EQ(XDP_PASS, Run(Tagged(0x88a8, 100, frame)));
    EXPECT_EQ(XDP_PASS, Run(Tagged(0x8100, 100, Tagged(0x8100, 100, frame))));
    EXPECT_EQ(XDP_PASS, Run(frame));
  }
}

TEST_P(SteerCaseTest, IsPassedWithoutASocketWhenTheTablesSaySo) {
  SteeringTables tables = Tables();
  tables.drop_without_socket = false;
  ASSERT_TRUE(program_->Publish(tables).ok());
  EXPECT_EQ(XDP_PASS, Run(Frame(GetParam().packet)));
  SetSocket(true);
  EXPECT_EQ(With(GetParam().owner), Run(Frame(GetParam().packet)));
}

INSTANTIATE_TEST_SUITE_P(
    Service, SteerCaseTest,
    testing::Values(
        Case{"Udp", V4(kClient, kService, kUdp, L4(4000, 53)), Owner::kOurs},
        Case{"TcpOnAnyL4Port", V4(kClient, kService, kTcp, L4(4000, 9)),
             Owner::kOurs},
        Case{"Echo", V4(kClient, kService, kIcmp4, IcmpMessage(8, 0, 1)),
             Owner::kOurs},
        Case{"AnyProtocol", V4(kClient, kService, kGre, Bytes(8)),
             Owner::kOurs},
        Case{
            "Error",
            V4(kOther, kService, kIcmp4,
               IcmpMessage(3, 4, 0, V4(kService, kClient, kTcp, L4(53, 4000)))),
            Owner::kOurs},
        Case{"FirstFragment",
             V4(kClient, kService, kUdp, L4(4000, 53),
                {.fragment = kMoreFragments}),
             Owner::kOurs},
        Case{"LaterFragment",
             V4(kClient, kService, kUdp, Bytes(16), {.fragment = 100}),
             Owner::kOurs},
        Case{"Options",
             V4(kClient, kService, kUdp, L4(4000, 53), {.options = 10}),
             Owner::kOurs},
        Case{"HeaderLengthTooSmall",
             V4(kClient, kService, kUdp, L4(4000, 53), {.ihl = 4}),
             Owner::kOurs},
        Case{"Udp6", V6(kClient6, kService6, kUdp, L4(4000, 53)), Owner::kOurs},
        Case{"Echo6", V6(kClient6, kService6, kIcmp6, IcmpMessage(128, 0, 1)),
             Owner::kOurs},
        Case{"Extensions6",
             V6(kClient6, kService6, kHopByHop,
                Ext(kDestOptions, 8, Ext(kTcp, 16, L4(4000, 53)))),
             Owner::kOurs},
        Case{"LaterFragment6",
             V6(kClient6, kService6, kFragment,
                FragmentExt(kUdp, 0x0ff8, Bytes(16))),
             Owner::kOurs},
        Case{"TooBig6",
             V6(kOther6, kService6, kIcmp6,
                IcmpMessage(2, 0, 0,
                            V6(kService6, kClient6, kTcp, L4(53, 4000)))),
             Owner::kOurs},
        Case{"ByTheKernelAlone", V4(kClient, kByKernel, kUdp, L4(4000, 53)),
             Owner::kKernels},
        Case{"SomebodyElses", V4(kClient, kOther, kUdp, L4(4000, 53)),
             Owner::kKernels},
        Case{"SomebodyElses6", V6(kClient6, kOther6, kUdp, L4(4000, 53)),
             Owner::kKernels},
        Case{"AsSource", V4(kService, kOther, kUdp, L4(53, 53)),
             Owner::kKernels},
        Case{"Mapped6", V6(kClient6, "::ffff:192.0.2.53", kUdp, L4(4000, 53)),
             Owner::kKernels}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Unicast, SteerCaseTest,
    testing::Values(
        Case{"Tcp", V4(kClient, kUnicast, kTcp, L4(443, kEgressL4Port)),
             Owner::kOurs, 24},
        Case{"TcpLowest", V4(kClient, kUnicast, kTcp, L4(443, 0)), Owner::kOurs,
             24},
        Case{"UdpHighest", V4(kClient, kUnicast, kUdp, L4(53, 65535)),
             Owner::kOurs, 24},
        Case{"TcpHighestIsNotUdps", V4(kClient, kUnicast, kTcp, L4(1, 65535)),
             Owner::kKernels, 24},
        Case{"TcpOfTheKernel",
             V4(kClient, kUnicast, kTcp, L4(kEgressL4Port, kKernelL4Port)),
             Owner::kKernels, 24},
        Case{"NeighbouringL4Port",
             V4(kClient, kUnicast, kUdp, L4(53, kEgressL4Port + 1)),
             Owner::kKernels, 24},
        Case{"Gre", V4(kClient, kUnicast, kGre, Bytes(8)), Owner::kKernels},
        Case{
            "Options",
            V4(kClient, kUnicast, kTcp, L4(443, kEgressL4Port), {.options = 3}),
            Owner::kOurs, 36},
        Case{"OptionsOfTheKernel",
             V4(kClient, kUnicast, kTcp, L4(443, kKernelL4Port),
                {.options = 10}),
             Owner::kKernels, 64},
        Case{"HeaderLengthTooSmall",
             V4(kClient, kUnicast, kTcp, L4(443, kKernelL4Port), {.ihl = 3}),
             Owner::kPerhapsOurs},
        Case{"Echo", V4(kClient, kUnicast, kIcmp4, IcmpMessage(8, 0, 1)),
             Owner::kKernels, 28},
        Case{"EchoReply",
             V4(kClient, kUnicast, kIcmp4, IcmpMessage(0, 0, kEgressL4Port)),
             Owner::kPerhapsOurs},
        Case{"EchoReplyOfTheKernel",
             V4(kClient, kUnicast, kIcmp4, IcmpMessage(0, 0, 77)),
             Owner::kKernels, 28},
        Case{"Redirect",
             V4(kClient, kUnicast, kIcmp4,
                IcmpMessage(5, 0, 0,
                            V4(kUnicast, kClient, kTcp,
                               L4(kEgressL4Port, 443)))),
             Owner::kKernels, 28},
        Case{"FirstFragment",
             V4(kClient, kUnicast, kUdp, L4(53, kEgressL4Port),
                {.fragment = kMoreFragments}),
             Owner::kOurs, 24},
        Case{"FirstFragmentOfTheKernel",
             V4(kClient, kUnicast, kUdp, L4(53, kKernelL4Port),
                {.fragment = kMoreFragments}),
             Owner::kPerhapsOurs},
        Case{"LaterFragment",
             V4(kClient, kUnicast, kUdp, Bytes(16), {.fragment = 2}),
             Owner::kPerhapsOurs},
        Case{"DontFragment",
             V4(kClient, kUnicast, kUdp, L4(53, kKernelL4Port),
                {.fragment = 0x4000}),
             Owner::kKernels, 24},
        Case{"Icmpv6OverIpv4",
             V4(kClient, kUnicast, kIcmp6, IcmpMessage(8, 0, 1)),
             Owner::kKernels, 28}),
    NameOf);

INSTANTIATE_TEST_SUITE_P(
    Unicast6, SteerCaseTest,
    testing::Values(
        Case{"Tcp", V6(kClient6, kUnicast6, kTcp, L4(443, kEgressL4Port)),
             Owner::kOurs, 44},
        Case{"TcpOfTheKernel",
             V6(kClient6, kUnicast6, kTcp, L4(443, kKernelL4Port)),
             Owner::kKernels, 44},
        Case{"EveryExtension",
             V6(kClient6, kUnicast6, kHopByHop,
                Ext(kDestOptions, 8,
                    Ext(kRouting, 24,
                        Ext(kAuth, 8,
                            AuthExt(kDestOptions, 24,
                                    Ext(kUdp, 16, L4(53, kEgressL4Port))))))),
             Owner::kOurs, 124},
        Case{"ExtensionsOfTheKernel",
             V6(kClient6, kUnicast6, kDestOptions,
                Ext(kUdp, 8, L4(53, kKernelL4Port))),
             Owner::kKernels, 52},
        Case{"FirstFragment",
             V6(kClient6, kUnicast6, kFragment,
                FragmentExt(kUdp, 1, L4(53, kEgressL4Port))),
             Owner::kOurs, 52},
        Case{"FirstFragmentOfTheKernel",
             V6(kClient6, kUnicast6, kFragment,
                FragmentExt(kUdp, 1, L4(53, kKernelL4Port))),
             Owner::kPerhapsOurs},
        Case{"LaterFragment",
             V6(kClient6, kUnicast6, kFragment,
                FragmentExt(kUdp, 0x0010, L4(53, kKernelL4Port))),
             Owner::kPerhapsOurs},
        Case{"AtomicFragmentOfTheKernel",
             V6(kClient6, kUnicast6, kFragment,
                FragmentExt(kUdp, 0, L4(53, kKernelL4Port))),
             Owner::kKernels, 52},
        Case{"Echo", V6(kClient6, kUnicast6, kIcmp6, IcmpMessage(128, 0, 1)),
             Owner::kKernels, 48},
        Case{
            "EchoReply",
            V6(kClient6, kUnicast6, kIcmp6, IcmpMessage(129, 0, kEgressL4Port)),
            Owner::kPerhapsOurs},
        Case{"EchoReplyBehindExtensions",
             V6(kClient6, kUnicast6, kDestOptions,
                Ext(kIcmp6, 8, IcmpMessage(129, 0, 77))),
             Owner::kKernels, 56},
        Case{"NeighbourSolicitation",
             V6(kClient6, kUnicast6, kIcmp6, IcmpMessage(135, 0, 0), 255),
             Owner::kKernels, 41},
        Case{"NeighbourSolicitationFromAfar",
             V6(kClient6, kUnicast6, kIcmp6, IcmpMessage(135, 0, 0), 254),
             Owner::kKernels, 48},
        Case{"IcmpOverIpv6",
             V6(kClient6, kUnicast6, kIcmp4, IcmpMessage(8, 0, 1)),
             Owner::kKernels, 48}),
    NameOf);

Bytes Error4(uint8_t type, const Bytes& quote) {
  return V4(kOther, kUnicast, kIcmp4, IcmpMessage(type, 0, 0, quote));
}
Bytes Error6(uint8_t type, const Bytes& quote) {
  return V6(kOther6, kUnicast6, kIcmp6, IcmpMessage(type, 0, 0, quote));
}
Bytes OurQuote() { return V4(kUnicast, kClient, kTcp, L4(kEgressL4Port, 443)); }
Bytes OurQuote6() {
  return V6(kUnicast6, kClient6, kUdp, L4(kEgressL4Port, 443));
}

INSTANTIATE_TEST_SUITE_P(
    Errors, SteerCaseTest,
    testing::Values(
        Case{"Unreachable", Error4(3, OurQuote()), Owner::kOurs, 52},
        Case{"TimeExceeded", Error4(11, OurQuote()), Owner::kOurs, 52},
        Case{"ParameterProblem", Error4(12, OurQuote()), Owner::kOurs, 52},
        Case{"OfTheKernel",
             Error4(3, V4(kUnicast, kClient, kTcp,
                          L4(kKernelL4Port, kEgressL4Port))),
             Owner::kKernels, 52},
        Case{"QuoteWithOptions",
             Error4(3, V4(kUnicast, kClient, kTcp, L4(kEgressL4Port, 443),
                          {.options = 10})),
             Owner::kOurs, 92},
        Case{"QuotedEcho",
             Error4(3, V4(kUnicast, kClient, kIcmp4,
                          IcmpMessage(8, 0, kEgressL4Port))),
             Owner::kPerhapsOurs},
        Case{"QuotedEchoOfTheKernel",
             Error4(3, V4(kUnicast, kClient, kIcmp4, IcmpMessage(8, 0, 77))),
             Owner::kKernels, 56},
        Case{"QuotedGre", Error4(3, V4(kUnicast, kClient, kGre, Bytes(8))),
             Owner::kKernels, 48},
        Case{"QuotedLaterFragment",
             Error4(3, V4(kUnicast, kClient, kUdp, Bytes(8), {.fragment = 9})),
             Owner::kPerhapsOurs},
        Case{"QuoteWithBadLength",
             Error4(3, V4(kUnicast, kClient, kTcp, L4(kKernelL4Port, 1),
                          {.ihl = 2})),
             Owner::kPerhapsOurs},
        Case{"Unreachable6", Error6(1, OurQuote6()), Owner::kOurs, 92},
        Case{"TooBig6", Error6(2, OurQuote6()), Owner::kOurs, 92},
        Case{"ParameterProblem6", Error6(4, OurQuote6()), Owner::kOurs, 92},
        Case{"NotAnError6", Error6(5, OurQuote6()), Owner::kKernels, 48},
        Case{"OfTheKernel6",
             Error6(2, V6(kUnicast6, kClient6, kTcp, L4(kKernelL4Port, 443))),
             Owner::kKernels, 92},
        Case{"QuotedFirstFragment6",
             Error6(2, V6(kUnicast6, kClient6, kFragment,
                          FragmentExt(kUdp, 1, L4(kEgressL4Port, 53)))),
             Owner::kOurs, 100},
        Case{"QuotedExtensions6",
             Error6(2, V6(kUnicast6, kClient6, kDestOptions,
                          Ext(kUdp, 8, L4(kKernelL4Port, 53)))),
             Owner::kPerhapsOurs}),
    NameOf);

}  // namespace
}  // namespace godwit

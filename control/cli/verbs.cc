// SPDX-License-Identifier: BSD-3-Clause
#include "control/cli/verbs.h"

namespace godwit::cli {
namespace {

constexpr Key kCommonKeys[] = {
    {"json", "", "print JSON instead of a table: same data, stable keys"},
    {"socket", "PATH", "the daemon's socket (/run/godwit/control.sock)",
     Names::kFile},
    {"help", "", "what can be said here, with examples"},
};

constexpr Argument kService[] = {
    {"NAME", "the service's name", Names::kService}};
constexpr Argument kQueue[] = {{"NAME", "the queue's name", Names::kQueue}};
constexpr Argument kUplink[] = {{"NAME", "the uplink's name", Names::kUplink}};
constexpr Argument kFile[] = {
    {"FILE", "a config file, or - for the standard input", Names::kFile}};

constexpr Key kServiceKeys[] = {
    {"addresses", "ADDRESS,...", "the anycast addresses it answers on"},
    {"ports", "PROTO/PORT,...",
     "what is served there: udp/53, tcp/8000-8099, icmp"},
    {"queues", "QUEUE[:WEIGHT],...", "where its packets go; weight 1 if unsaid",
     Names::kQueue},
    {"affinity", "flow|client",
     "what stays on one queue: each flow, each client"},
    {"replies", "tuple|tracked",
     "what a reply is: by its source alone, or in a tracked flow"},
    {"originate", "unicast|vip|deny", "what its own outbound traffic may be"},
    {"unmatched", "reject|silent", "what other ports of its addresses meet"},
};

constexpr Key kQueueKeys[] = {
    {"device", "DEVICE", "veth:IFNAME, tap:, vhost:, memif:, xdp:, dpdk:, ..."},
    {"netns", "NAME", "the namespace that the far end is moved to"},
    {"hop", "host|router", "TTL untouched, or decremented and answered"},
    {"mtu", "BYTES", "of an IP packet; unsaid: the device's own"},
    {"limits.flows", "N", "live mappings that it may hold"},
    {"limits.rate", "N", "new mappings that it may make a second"},
    {"health.tcp", "PORT", "alive while this port accepts"},
    {"health.http", "URL", "alive while this answers 2xx or 3xx"},
    {"health.dns", "NAME", "alive while this name is answered"},
    {"health.exec", "ARG,...", "alive while this program exits with 0"},
    {"health.interval", "DURATION", "between two checks"},
    {"health.timeout", "DURATION", "how long a check may take"},
    {"health.rise", "N", "successes in a row to be up"},
    {"health.fall", "N", "failures in a row to be down"},
};

constexpr Key kEgressKeys[] = {
    {"ports", "auto|LOW-HIGH", "ports of each unicast address to translate to"},
    {"reserved", "PORT,...", "ports among those that are left alone"},
    {"direct", "PREFIX,...", "destinations that are never translated"},
    {"mapping", "per-destination|endpoint-independent",
     "how far one mapping reaches"},
    {"timeouts.tcp_established", "DURATION", "idle time of an open connection"},
    {"timeouts.tcp_transitory", "DURATION", "of one that opens or closes"},
    {"timeouts.udp", "DURATION", "of a UDP mapping"},
    {"timeouts.icmp", "DURATION", "of an echo"},
    {"rest", "DURATION", "of a port whose UDP mapping has ended"},
    {"log.mappings", "true|false", "a line for each that begins or ends"},
    {"log.rate", "N", "of these lines, a second"},
};

constexpr Key kFlowListKeys[] = {
    {"service", "NAME", "of this service, what its queues originate too",
     Names::kService},
    {"client", "ADDRESS|PREFIX", "with this remote side"},
    {"proto", "tcp|udp|icmp", "of this protocol"},
    {"limit", "N", "show so many at most"},
};
// The rest of the filter, without a limit.
constexpr absl::Span<const Key> kFlowKeys =
    absl::Span<const Key>(kFlowListKeys, 3);

constexpr Key kCountersKeys[] = {
    {"drops", "", "only the drops, by reason"},
    {"nonzero", "", "leave out what is zero"},
};

constexpr Argument kExplainArguments[] = {
    {"tcp|udp|icmp", "the packet's protocol"},
    {"SRC", "ADDRESS:PORT, IPv6 in brackets; for icmp the port is the id"},
    {"DST", "ADDRESS:PORT"},
};
constexpr Key kExplainKeys[] = {
    {"from", "uplink|QUEUE", "where it comes from (uplink)", Names::kQueue}};

constexpr Argument kRollbackArguments[] = {
    {"GENERATION", "one of `config history`; unsaid: the one before",
     Names::kGeneration, Need::kOptional}};
constexpr Key kShowKeys[] = {
    {"defaults", "", "with every default filled in"},
    {"generation", "N", "one of `config history` (the one in effect)",
     Names::kGeneration}};
constexpr Key kDrainKeys[] = {
    {"deadline", "DURATION",
     "inbound flows it still has then go to other queues, 1s to 24h"}};
constexpr Key kCheckKeys[] = {
    {"file-only", "",
     "the rules of the file alone: it is for another machine than this"}};
constexpr Key kApplyKeys[] = {
    {"confirm-within", "DURATION",
     "goes again after this, 1s to 24h, unless `config confirm` comes"}};

constexpr Verb kVerbs[] = {
    {Action::kStatus,
     "status",
     "",
     "Is the node working, and on what?",
     {},
     {},
     "status\n"
     "status --json"},
    {Action::kServiceList,
     "service",
     "list",
     "All services, one a line.",
     {},
     {},
     "service list"},
    {Action::kServiceShow,
     "service",
     "show",
     "One service in full.",
     kService,
     {},
     "service show dns"},
    {Action::kServiceSet, "service", "set",
     "Create a service, or change the keys that are given. An empty value goes "
     "back to the default.",
     kService, kServiceKeys,
     "service set dns --addresses=192.0.2.53,2001:db8:53::53 "
     "--ports=udp/53,tcp/53 --queues=dns0\n"
     "service set dns --queues=dns0,dns1:10\n"
     "service set dns --affinity=client --unmatched=silent\n"
     "service set crawler --queues=crawl0\n"
     "service set dns --affinity="},
    {Action::kServiceRemove,
     "service",
     "remove",
     "Remove a service; its flows end.",
     kService,
     {},
     "service remove dns"},
    {Action::kQueueList,
     "queue",
     "list",
     "All queues, one a line.",
     {},
     {},
     "queue list"},
    {Action::kQueueShow,
     "queue",
     "show",
     "One queue in full.",
     kQueue,
     {},
     "queue show dns0"},
    {Action::kQueueSet, "queue", "set",
     "Create a queue, or change the keys that are given. An empty value goes "
     "back to the default.",
     kQueue, kQueueKeys,
     "queue set dns0 --device=veth:dns0 --netns=dns\n"
     "queue set dns0 --limits.flows=100000 --limits.rate=20000\n"
     "queue set cdn0 --device=vhost:/run/godwit/cdn0.sock --mtu=1500"},
    {Action::kQueueDrain, "queue", "drain",
     "No new inbound flows; those it has go on to their end, or to a deadline.",
     kQueue, kDrainKeys,
     "queue drain dns0\n"
     "queue drain dns0 --deadline=10m"},
    {Action::kQueueUndrain,
     "queue",
     "undrain",
     "Take new flows again.",
     kQueue,
     {},
     "queue undrain dns0"},
    {Action::kQueueRemove,
     "queue",
     "remove",
     "Remove a queue that no service uses.",
     kQueue,
     {},
     "queue remove dns0"},
    {Action::kUplinkList,
     "uplink",
     "list",
     "All uplinks, one a line.",
     {},
     {},
     "uplink list"},
    {Action::kUplinkShow,
     "uplink",
     "show",
     "One uplink in full.",
     kUplink,
     {},
     "uplink show wan0"},
    {Action::kEgressShow,
     "egress",
     "show",
     "How originated traffic is translated, and how much room is left.",
     {},
     {},
     "egress show"},
    {Action::kEgressSet,
     "egress",
     "set",
     "Change how originated traffic is translated. An empty value goes back to "
     "the default.",
     {},
     kEgressKeys,
     "egress set --ports=20000-59999 --reserved=3784,3785\n"
     "egress set --timeouts.udp=300s\n"
     "egress set --direct=203.0.113.0/24,2001:db8:aaaa::/48"},
    {Action::kFlowList,
     "flow",
     "list",
     "Flows, one a line.",
     {},
     kFlowListKeys,
     "flow list --service=dns --proto=udp --limit=20\n"
     "flow list --client=198.51.100.0/24"},
    {Action::kFlowCount,
     "flow",
     "count",
     "How many flows there are.",
     {},
     kFlowKeys,
     "flow count --service=dns"},
    {Action::kFlowFlush,
     "flow",
     "flush",
     "End flows at once; without a filter, all.",
     {},
     kFlowKeys,
     "flow flush --client=198.51.100.66\n"
     "flow flush"},
    {Action::kNeighborList,
     "neighbor",
     "list",
     "Next hops and local peers with their link addresses.",
     {},
     {},
     "neighbor list"},
    {Action::kRouteList,
     "route",
     "list",
     "Routes that packets follow here.",
     {},
     {},
     "route list"},
    {Action::kCounters,
     "counters",
     "",
     "Every packet since start, by how it ended.",
     {},
     kCountersKeys,
     "counters\n"
     "counters --drops --nonzero"},
    {Action::kExplain, "explain", "",
     "What a packet would meet, and why. Nothing is sent or changed.",
     kExplainArguments, kExplainKeys,
     "explain udp 198.51.100.7:4000 192.0.2.53:53\n"
     "explain tcp 192.0.2.53:4000 203.0.113.9:443 --from=dns0\n"
     "explain udp [2001:db8::1]:4000 [2001:db8:53::53]:53"},
    {Action::kConfigShow,
     "config",
     "show",
     "The config in effect, as a file.",
     {},
     kShowKeys,
     "config show\n"
     "config show --defaults\n"
     "config show --generation=17"},
    {Action::kConfigCheck, "config", "check",
     "Would this file be accepted here? Works without a daemon too.", kFile,
     kCheckKeys,
     "config check /etc/godwit/godwit.yaml\n"
     "config check --file-only ams2.yaml"},
    {Action::kConfigDiff,
     "config",
     "diff",
     "What applying this file would change.",
     kFile,
     {},
     "config diff /etc/godwit/godwit.yaml"},
    {Action::kConfigApply, "config", "apply",
     "Change to this file, all of it or nothing.", kFile, kApplyKeys,
     "config apply /etc/godwit/godwit.yaml\n"
     "config apply new.yaml --confirm-within=60s"},
    {Action::kConfigConfirm,
     "config",
     "confirm",
     "Keep what was applied with --confirm-within.",
     {},
     {},
     "config confirm"},
    {Action::kConfigRollback,
     "config",
     "rollback",
     "Back to the config from before, or to another of the last 10.",
     kRollbackArguments,
     {},
     "config rollback\n"
     "config rollback 17"},
    {Action::kConfigHistory,
     "config",
     "history",
     "The configs one can go back to, and how each differs from now.",
     {},
     {},
     "config history"},
    {Action::kConfigSave,
     "config",
     "save",
     "Write the config in effect to the daemon's file.",
     {},
     {},
     "config save"},
    {Action::kUpgrade,
     "upgrade",
     "",
     "Start the daemon's program anew on the state of the old one.",
     {},
     {},
     "upgrade"},
    {Action::kVersion,
     "version",
     "",
     "Versions of daemon and client.",
     {},
     {},
     "version"},
};

constexpr Noun kNouns[] = {
    {"status", "is the node working"},
    {"service", "what is served on anycast addresses"},
    {"queue", "where local programs take their packets"},
    {"uplink", "where the network is"},
    {"egress", "how originated traffic leaves"},
    {"flow", "who talks to whom"},
    {"neighbor", "next hops and local peers"},
    {"route", "where packets go"},
    {"counters", "how every packet ended"},
    {"explain", "what a packet would meet"},
    {"config", "the file and what is in effect"},
    {"upgrade", "the daemon's next version, on the state of this one"},
    {"version", "of daemon and client"},
};

}  // namespace

absl::Span<const Noun> Nouns() { return kNouns; }
absl::Span<const Verb> Verbs() { return kVerbs; }
absl::Span<const Key> CommonKeys() { return kCommonKeys; }

}  // namespace godwit::cli

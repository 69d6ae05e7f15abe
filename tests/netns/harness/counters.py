# SPDX-License-Identifier: BSD-3-Clause
"""The counters of `godwitctl counters`, and the sum they must make."""

import dataclasses

_IN = ("received", "generated")
_OUT = ("delivered", "sent", "punted", "consumed", "held")


@dataclasses.dataclass
class Counters:
  raw: dict

  def __getitem__(self, key):
    return int(self.raw.get(key, 0))

  @property
  def dropped(self):
    return {name: int(n) for name, n in self.raw.get("dropped", {}).items() if int(n)}

  def imbalance(self):
    """Contract rule 7: 0 whenever it is asked."""
    return sum(self[k] for k in _IN) - sum(self[k] for k in _OUT) - sum(self.dropped.values())

  def drops_since(self, before):
    return {name: n - before.dropped.get(name, 0) for name, n in self.dropped.items()
            if n != before.dropped.get(name, 0)}

  def since(self, before):
    return {k: self[k] - before[k] for k in _IN + _OUT}

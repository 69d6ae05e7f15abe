# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of this folder stand on; README.md of the folder above says how it fits together."""

// SPDX-License-Identifier: BSD-3-Clause
//
// Text in columns, for people.
#ifndef GODWIT_CONTROL_CLI_TABLE_H_
#define GODWIT_CONTROL_CLI_TABLE_H_

#include <string>
#include <vector>

#include "google/protobuf/message.h"

namespace godwit::cli {

// Columns as wide as their widest cell, two spaces apart; numbers to the
// right. An empty cell is shown as "-".
class Table {
 public:
  explicit Table(std::vector<std::string> header);

  // As many cells as the header has.
  void Add(std::vector<std::string> row);

  bool empty() const { return rows_.size() == 1; }

  // Header and rows, a newline after each.
  std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the header first
};

// Every field of `message` that is set, one a line: its name, its value; a
// nested one as `limits.flows`, a list with commas.
std::string FieldLines(const google::protobuf::Message& message);

}  // namespace godwit::cli

#endif  // GODWIT_CONTROL_CLI_TABLE_H_

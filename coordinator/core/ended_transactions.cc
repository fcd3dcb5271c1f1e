#include "coordinator/core/ended_transactions.h"

#include <bit>
#include <iterator>

#include "base/mutant.h"

namespace assent::coordinator {
namespace {

constexpr uint64_t kWordBits = 64;

}  // namespace

bool EndedTransactions::Has(Position position) const {
  if (Forgot(position)) return false;
  auto epoch = bits.find(position.epoch);
  if (epoch == bits.end()) return false;
  auto word = epoch->second.find(position.seq / kWordBits);
  return word != epoch->second.end() && (word->second >> position.seq % kWordBits & 1) != 0;
}

uint32_t EndedTransactions::WinnerOf(Position position, uint32_t branch) const {
  if (!Has(position)) return 0;
  // Only the attempts that were not the first are kept. A branch that voted read-only at its first
  // was never prepared, so nobody asks for it.
  auto it = attempts.find(position);
  if (it == attempts.end()) return 1;
  auto winner = it->second.find(branch);
  return winner == it->second.end() ? 1 : winner->second;
}

uint64_t EndedTransactions::Count() const {
  uint64_t count = 0;
  for (const auto& [epoch, words] : bits) {
    for (const auto& [index, word] : words) {
      uint64_t alive = word;
      // The watermark's own word holds bits that it has passed.
      if (watermark && watermark->epoch == epoch && watermark->seq / kWordBits == index) {
        const uint64_t passed = watermark->seq % kWordBits + 1;
        alive = passed == kWordBits ? 0 : word >> passed;
      }
      count += static_cast<uint64_t>(std::popcount(alive));
    }
  }
  return count;
}

void EndedTransactions::NoteDecided(Position position) {
  if (!newest || *newest < position) newest = position;
}

void EndedTransactions::Add(const Decision& decision) {
  const Position position = PositionOf(decision.gtrid);
  // What the watermark has passed is forgotten the moment it ends: it was kept one by one.
  if (Forgot(position)) return;
  bits[position.epoch][position.seq / kWordBits] |= uint64_t{1} << position.seq % kWordBits;
  for (const DecidedBranch& branch : decision.branches) {
    if (branch.bqual.attempt != 1) attempts[position][branch.bqual.branch] = branch.bqual.attempt;
  }
  if (MutantOn(Mutant::kVoidedReaderWins)) return;
  for (uint32_t branch : decision.voided_readers) attempts[position][branch] = 0;
}

void EndedTransactions::Tick(uint64_t ticks, uint64_t retention) {
  if (newest && (marks.empty() || marks.rbegin()->second != *newest)) {
    marks.emplace(ticks, *newest);
  }
  if (ticks <= retention) return;
  auto end = marks.upper_bound(ticks - retention);
  if (end != marks.begin()) ForgetUpTo(std::prev(end)->second);
  marks.erase(marks.begin(), end);
}

void EndedTransactions::ForgetUpTo(Position position) {
  if (Forgot(position)) return;
  watermark = position;
  bits.erase(bits.begin(), bits.lower_bound(position.epoch));
  if (auto epoch = bits.find(position.epoch); epoch != bits.end()) {
    // Whole words only; Has looks at the watermark first.
    epoch->second.erase(epoch->second.begin(),
                        epoch->second.lower_bound((position.seq + 1) / kWordBits));
    if (epoch->second.empty()) bits.erase(epoch);
  }
  attempts.erase(attempts.begin(), attempts.upper_bound(position));
}

}  // namespace assent::coordinator

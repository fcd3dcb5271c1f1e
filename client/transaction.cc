#include "client/transaction.h"

#include <utility>

#include "client/internal/branch_impl.h"
#include "client/internal/transaction_impl.h"

namespace assent::client {

Result<Agent> Agent::Connect(AgentOptions options) {
  if (Status status = internal::CheckEndpoint(options.endpoint, /*unix_allowed=*/true);
      !status.ok()) {
    return status;
  }
  auto credentials = internal::MakeCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  auto channel = internal::MakeChannel(options.endpoint, options.tls, *std::move(credentials));
  return Agent(std::make_shared<internal::AgentImpl>(std::move(options),
                                                     v1::BranchService::NewStub(channel)));
}

const std::string& Agent::endpoint() const { return impl_->options().endpoint; }

WorkResult<std::vector<ResultSet>> Branch::Run(std::vector<Statement> statements) {
  return impl_->Run(statements, /*last=*/false);
}

WorkResult<std::vector<ResultSet>> Branch::RunLast(std::vector<Statement> statements) {
  return impl_->Run(statements, /*last=*/true);
}

WorkResult<ResultSet> Branch::RunOne(Statement statement, bool last) {
  WorkResult<std::vector<ResultSet>> results = impl_->Run({std::move(statement)}, last);
  if (!results.ok()) return results.error();
  return std::move(results->front());
}

WorkResult<StreamEnd> Branch::ExecuteStream(Statement statement, const RowSink& sink) {
  return impl_->Stream(statement, sink);
}

const std::string& Branch::gid() const { return impl_->gid(); }
const std::string& Branch::resource() const { return impl_->resource(); }
const std::vector<ResultSet>& Branch::open_results() const { return impl_->open_results(); }

const std::string& AppBranch::gid() const { return impl_->gid(); }
const std::string& AppBranch::resource() const { return impl_->resource(); }
const std::string& AppBranch::kind() const { return impl_->kind(); }

WorkStatus AppBranch::Prepare() {
  if (auto failure = transaction_->Prepare({impl_})) return failure->error;
  return Done{};
}

WorkStatus AppBranch::Vote(const Agent& agent) {
  return internal::VoteOn(*transaction_, *impl_, *agent.impl_);
}

Status AppBranch::Finish(const CommitResult& result) {
  return transaction_->Finish({impl_}, result.outcome);
}

Transaction::Transaction(std::shared_ptr<internal::TransactionImpl> impl)
    : impl_(std::move(impl)) {}
Transaction::Transaction(Transaction&&) noexcept = default;

Transaction& Transaction::operator=(Transaction&& other) noexcept {
  if (this != &other) {
    if (impl_) impl_->Abandon();
    impl_ = std::move(other.impl_);
  }
  return *this;
}

Transaction::~Transaction() {
  if (impl_) impl_->Abandon();
}

const std::string& Transaction::gtrid() const { return impl_->gtrid(); }
bool Transaction::already_committed() const { return impl_->already_committed(); }
bool Transaction::joined() const { return impl_->joined(); }

std::chrono::milliseconds Transaction::remaining() const {
  return internal::Left(impl_->deadline());
}

TransactionContext Transaction::context() const { return {gtrid(), remaining()}; }

WorkResult<Branch> Transaction::Open(const Agent& agent, std::string resource,
                                     OpenOptions options) {
  auto branch = internal::OpenBranch(impl_, {agent.impl_, std::move(resource), std::move(options)});
  if (!branch.ok()) return branch.error();
  return Branch(*std::move(branch));
}

WorkResult<std::vector<Branch>> Transaction::OpenAll(std::vector<Opening> openings) {
  std::vector<internal::BranchToOpen> wanted;
  for (Opening& opening : openings) {
    wanted.push_back(
        {opening.agent.impl_, std::move(opening.resource), std::move(opening.options)});
  }
  auto opened = internal::OpenBranches(impl_, std::move(wanted));
  if (!opened.ok()) return opened.error();
  std::vector<Branch> branches;
  for (auto& branch : *opened) branches.push_back(Branch(std::move(branch)));
  return branches;
}

WorkResult<AppBranch> Transaction::Enlist(const Agent& agent, std::string resource,
                                          AppSession session, EnlistOptions options) {
  auto branch = internal::EnlistBranch(
      *impl_, {agent.impl_, std::move(resource), std::move(session), std::move(options)});
  if (!branch.ok()) return branch.error();
  return AppBranch(*std::move(branch), impl_);
}

std::vector<AppBranch> Transaction::app_branches() const {
  std::vector<AppBranch> branches;
  for (auto& held : impl_->held()) branches.push_back(AppBranch(std::move(held), impl_));
  return branches;
}

WorkStatus Transaction::Prepare() {
  if (auto failure = impl_->Prepare(impl_->held())) return failure->error;
  return Done{};
}

void Transaction::RollbackOnly(std::string why) { impl_->RollbackOnly(std::move(why)); }

std::optional<WorkError> Transaction::failure() const { return impl_->failure(); }

CommitResult Transaction::Commit(CommitOptions options) { return impl_->Commit(options); }

CommitResult Transaction::Rollback(std::chrono::milliseconds retry_for) {
  return impl_->Rollback(retry_for);
}

}  // namespace assent::client

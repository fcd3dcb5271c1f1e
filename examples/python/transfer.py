#!/usr/bin/python3
"""Moves money from an account in PostgreSQL to one in MariaDB or MySQL, in one transaction, with
psycopg2 and PyMySQL: a service in another language with drivers of its own. No agent is called from
here. Both databases have  accounts(id BIGINT PRIMARY KEY, balance BIGINT).

    examples/python/stubs build/python-stubs
    PYTHONPATH=build/python-stubs examples/python/transfer.py \\
        127.0.0.1:7400 postgresql://postgres@127.0.0.1/bank root@127.0.0.1:3306/bank 1 2 50

Exit codes: 0 committed, 1 aborted (nothing was changed), 3 unknown (ask again for the gtrid).
"""
import argparse
import random
import re
import sys
import time

import grpc
import psycopg2
import pymysql
from assent.v1 import common_pb2, transaction_service_pb2 as door
from assent.v1.transaction_service_pb2_grpc import TransactionServiceStub

TRY_TIMEOUT = 20  # Seconds. Commit may take prepare_timeout and apply_wait: 10 s and 5 s.
REQUEST_IS_WRONG = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION,
                    grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED,
                    grpc.StatusCode.UNIMPLEMENTED}


def ask(method, request, retry_for=30):
    """Commit or Rollback, repeated with the same gtrid until the outcome is known. None: it is not,
    which is neither success nor failure."""
    give_up, delay = time.monotonic() + retry_for, 0.01
    while True:
        try:
            reply = method(request, timeout=TRY_TIMEOUT)
            if reply.outcome in (common_pb2.OUTCOME_COMMITTED, common_pb2.OUTCOME_ABORTED):
                return reply
        except grpc.RpcError as error:
            if error.code() in REQUEST_IS_WRONG:
                print(error.details(), file=sys.stderr)
                return None  # Not worth a repetition; but an earlier try may have been heard.
        if time.monotonic() > give_up:
            return None
        time.sleep(delay * random.uniform(0.5, 1))
        delay = min(2 * delay, 0.5)


class Session:
    """A branch on a connection of ours. `run` sends one plain statement."""

    def __init__(self, resource, connection, connection_id):
        self.resource, self.connection, self.connection_id = resource, connection, connection_id
        self.sql = common_pb2.BranchStatements()  # None yet.
        self.prepared = False

    def run(self, sql, parameters=None):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            return cursor.rowcount

    def planned(self):
        held = common_pb2.AppHeld(connection_id=str(self.connection_id),
                                  finisher=common_pb2.FINISHER_APP)
        return door.BranchRequest(resource=self.resource, app_held=held)

    def begin(self, branch):
        self.gid, self.sql = branch.gid, branch.statements
        for statement in self.sql.begin:
            self.run(statement)

    def prepare(self):
        # From the last statement on it may be prepared, whatever we hear: then only the outcome may
        # end it.
        *first, last = self.sql.prepare
        for statement in first:
            self.run(statement)
        self.prepared = True
        self.run(last)

    def abandon(self):
        """Gives the work up, unless it may be prepared."""
        if not self.prepared:
            self.run_in_vain(self.sql.abandon)

    def run_in_vain(self, statements):
        for statement in statements:
            try:
                self.run(statement)
            except (psycopg2.Error, pymysql.Error):
                pass  # The agent ends what we could not.


def finish(transactions, sessions, reply):
    """Ends the prepared sessions as the outcome says, and reports what was committed here."""
    if reply.outcome == common_pb2.OUTCOME_ABORTED:
        for session in sessions:
            if session.prepared:
                session.run_in_vain([session.sql.rollback])
        return
    done = []
    for session in sessions:
        try:
            session.run(session.sql.commit)
            done.append(session.gid)
        except (psycopg2.Error, pymysql.Error) as error:
            print(f"{session.resource}: left to the agent: {error}", file=sys.stderr)
    try:
        # A busy service puts this into `finished` of its next Begin instead.
        transactions.ReportFinished(door.ReportFinishedRequest(gids=done), timeout=1)
    except grpc.RpcError:
        pass  # The agent finds out by itself after finish_grace, 2 s.


def work(orders, stock, arguments):
    taken = orders.run("UPDATE accounts SET balance = balance - %s WHERE id = %s AND balance >= %s",
                       (arguments.amount, arguments.giver, arguments.amount))
    given = stock.run("UPDATE accounts SET balance = balance + %s WHERE id = %s",
                      (arguments.amount, arguments.taker))
    # A statement that changed nothing is no error to a database: only we know that it should have.
    return taken == 1 and given == 1


def transfer(arguments):
    postgres = psycopg2.connect(arguments.postgresql)
    user, host, port, database = re.fullmatch(r"(.+)@(.+):(\d+)/(.+)", arguments.mysql).groups()
    mysql = pymysql.connect(user=user, host=host, port=int(port), database=database)
    # The drivers must not begin or end transactions of their own.
    postgres.autocommit = True
    mysql.autocommit(True)
    orders = Session("bank_pg", postgres, postgres.get_backend_pid())
    stock = Session("bank_my", mysql, mysql.thread_id())

    transactions = TransactionServiceStub(grpc.insecure_channel(arguments.coordinator))
    # Begin changes nothing: whoever wants to repeats it, as a new transaction.
    begun = transactions.Begin(
        door.BeginRequest(label="transfer.py", timeout_ms=1000 * arguments.timeout,
                          branches=[orders.planned(), stock.planned()]),
        timeout=TRY_TIMEOUT)

    done = False
    try:
        for session, branch in zip((orders, stock), begun.branches):
            session.begin(branch)
        if work(orders, stock, arguments):
            for session in (orders, stock):
                session.prepare()
            done = True
        else:
            print("no such account, or not enough money", file=sys.stderr)
    except (psycopg2.Error, pymysql.Error) as error:
        # Also MariaDB and MySQL would prepare a branch in which a statement failed: it is up to us.
        print(error, file=sys.stderr)
    if done:
        if arguments.hold:
            print(f"prepared {begun.gtrid}", flush=True)
            time.sleep(arguments.hold)
        reply = ask(transactions.Commit, door.CommitRequest(gtrid=begun.gtrid))
    else:
        for session in (orders, stock):
            session.abandon()
        reply = ask(transactions.Rollback, door.RollbackRequest(gtrid=begun.gtrid))
    if reply is None:
        print(f"UNKNOWN: ask again for {begun.gtrid}")
        return 3
    finish(transactions, (orders, stock), reply)
    print(common_pb2.Outcome.Name(reply.outcome), reply.abort.message)
    return 0 if reply.outcome == common_pb2.OUTCOME_COMMITTED else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("coordinator", help="host:port")
    parser.add_argument("postgresql", help="postgresql://user@host:port/database")
    parser.add_argument("mysql", help="user@host:port/database")
    parser.add_argument("giver", type=int, help="account in PostgreSQL")
    parser.add_argument("taker", type=int, help="account in MariaDB or MySQL")
    parser.add_argument("amount", type=int)
    parser.add_argument("--timeout", type=int, default=60, help="of the transaction, in seconds")
    parser.add_argument("--hold", type=float, default=0,
                        help="seconds between PREPARE and Commit, to kill something meanwhile")
    sys.exit(transfer(parser.parse_args()))


if __name__ == "__main__":
    main()

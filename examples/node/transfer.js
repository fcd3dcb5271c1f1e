#!/usr/bin/env node
// Moves money from an account in PostgreSQL to one in MariaDB or MySQL, in one transaction, with pg
// and mysql2: a service in another language with drivers of its own. No agent is called from here.
// Both databases have  accounts(id BIGINT PRIMARY KEY, balance BIGINT).
//
//   (cd examples/node && npm ci)
//   examples/node/transfer.js 127.0.0.1:7400 postgresql://postgres@127.0.0.1/bank \
//       mysql://root@127.0.0.1:3306/bank 1 2 50
//
// Exit codes: 0 committed, 1 aborted (nothing was changed), 3 unknown (ask again for the gtrid).
'use strict';

const path = require('node:path');
const {setTimeout: sleep} = require('node:timers/promises');
const {promisify} = require('node:util');
const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');
const mysql = require('mysql2/promise');
const pg = require('pg');

const TRY_TIMEOUT_MS = 20_000;  // Commit may take prepare_timeout and apply_wait: 10 s and 5 s.
const REQUEST_IS_WRONG = new Set([
  grpc.status.INVALID_ARGUMENT, grpc.status.FAILED_PRECONDITION, grpc.status.UNAUTHENTICATED,
  grpc.status.PERMISSION_DENIED, grpc.status.UNIMPLEMENTED]);

// The coordinator's door, with a promise for each call.
function connect(endpoint) {
  const definition = protoLoader.loadSync('assent/v1/transaction_service.proto', {
    includeDirs: [path.join(__dirname, '../../proto')],
    keepCase: true, enums: String, longs: String, defaults: true});
  const {TransactionService} = grpc.loadPackageDefinition(definition).assent.v1;
  const stub = new TransactionService(endpoint, grpc.credentials.createInsecure());
  return (verb, request, timeoutMs = TRY_TIMEOUT_MS) =>
      promisify(stub[verb].bind(stub))(request, {deadline: Date.now() + timeoutMs});
}

// Commit or Rollback, repeated with the same gtrid until the outcome is known. undefined: it is not,
// which is neither success nor failure.
async function ask(call, verb, request, retryForMs = 30_000) {
  const giveUp = performance.now() + retryForMs;
  for (let delay = 10;; delay = Math.min(2 * delay, 500)) {
    try {
      const reply = await call(verb, request);
      if (['OUTCOME_COMMITTED', 'OUTCOME_ABORTED'].includes(reply.outcome)) return reply;
    } catch (error) {
      // Not worth a repetition; but an earlier try may have been heard.
      if (REQUEST_IS_WRONG.has(error.code)) return console.error(error.message), undefined;
    }
    if (performance.now() > giveUp) return undefined;
    await sleep(delay * (0.5 + Math.random() / 2));
  }
}

// Waits for all of them, also after a failure: no step is left running when the next begins.
async function all(promises) {
  const ends = await Promise.allSettled(promises);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

// A branch on a connection of ours. `run` sends one plain statement (not a prepared one).
class Session {
  constructor(resource, connectionId, run) {
    Object.assign(this, {resource, connectionId, run, prepared: false});
    this.sql = {begin: [], prepare: [], abandon: []};  // None yet.
  }

  planned() {
    return {resource: this.resource,
            app_held: {connection_id: String(this.connectionId), finisher: 'FINISHER_APP'}};
  }

  async begin(branch) {
    this.gid = branch.gid;
    this.sql = branch.statements;
    for (const statement of this.sql.begin) await this.run(statement);
  }

  async prepare() {
    // From the last statement on it may be prepared, whatever we hear: then only the outcome may end
    // it.
    for (const statement of this.sql.prepare.slice(0, -1)) await this.run(statement);
    this.prepared = true;
    await this.run(this.sql.prepare.at(-1));
  }

  // Gives the work up, unless it may be prepared.
  async abandon() {
    if (!this.prepared) await this.runInVain(this.sql.abandon);
  }

  async runInVain(statements) {
    // The agent ends what we could not.
    for (const statement of statements) await this.run(statement).catch(() => {});
  }
}

// Ends the prepared sessions as the outcome says, and reports what was committed here.
async function finish(call, sessions, reply) {
  if (reply.outcome === 'OUTCOME_ABORTED') {
    await Promise.all(sessions.filter((session) => session.prepared)
                          .map((session) => session.runInVain([session.sql.rollback])));
    return;
  }
  const ends = await Promise.allSettled(sessions.map((session) => session.run(session.sql.commit)));
  const gids = sessions.filter((_, i) => ends[i].status === 'fulfilled').map(({gid}) => gid);
  // A busy service puts this into `finished` of its next Begin instead. If it is lost, the agent
  // finds out by itself after finish_grace, 2 s.
  await call('ReportFinished', {gids}, 1_000).catch(() => {});
}

async function work(postgres, mariadb, {giver, taker, amount}) {
  const taken = await postgres.query(
      'UPDATE accounts SET balance = balance - $1 WHERE id = $2 AND balance >= $1', [amount, giver]);
  const [given] = await mariadb.query('UPDATE accounts SET balance = balance + ? WHERE id = ?',
                                      [amount, taker]);
  // A statement that changed nothing is no error to a database: only we know that it should have.
  return taken.rowCount === 1 && given.affectedRows === 1;
}

async function transfer({coordinator, postgresqlUrl, mysqlUrl, holdMs, ...order}) {
  const call = connect(coordinator);
  const postgres = new pg.Client(postgresqlUrl);
  await postgres.connect();
  const mariadb = await mysql.createConnection(mysqlUrl);
  const id = await postgres.query('SELECT pg_backend_pid() AS pid');
  const orders = new Session('bank_pg', id.rows[0].pid, (sql) => postgres.query(sql));
  const stock = new Session('bank_my', mariadb.threadId, (sql) => mariadb.query(sql));
  const sessions = [orders, stock];
  // A connection that is lost while it is idle: the next statement on it fails, and we see it then.
  for (const connection of [postgres, mariadb]) connection.on('error', () => {});

  // Begin changes nothing: whoever wants to repeats it, as a new transaction.
  const begun = await call('Begin', {
    label: 'transfer.js', branches: sessions.map((session) => session.planned())});
  let done = false;
  try {
    await all(sessions.map((session, i) => session.begin(begun.branches[i])));
    done = await work(postgres, mariadb, order);
    if (!done) console.error('no such account, or not enough money');
    if (done) await all(sessions.map((session) => session.prepare()));
  } catch (error) {
    // Also MariaDB and MySQL would prepare a branch in which a statement failed: it is up to us.
    done = false;
    console.error(error.message);
  }
  if (done && holdMs > 0) {
    console.log(`prepared ${begun.gtrid}`);
    await sleep(holdMs);
  }
  if (!done) await Promise.all(sessions.map((session) => session.abandon()));
  const reply = await ask(call, done ? 'Commit' : 'Rollback', {gtrid: begun.gtrid});
  if (reply) await finish(call, sessions, reply);
  await Promise.allSettled([postgres.end(), mariadb.end()]);
  if (!reply) return console.log(`UNKNOWN: ask again for ${begun.gtrid}`), 3;
  console.log(reply.outcome, reply.abort ? reply.abort.message : '');
  return reply.outcome === 'OUTCOME_COMMITTED' ? 0 : 1;
}

const args = process.argv.slice(2);
if (args.length < 6 || args.length > 7) {
  console.error('usage: transfer.js COORDINATOR POSTGRESQL_URL MYSQL_URL GIVER TAKER AMOUNT ' +
                '[HOLD_MS: between PREPARE and Commit, to kill something meanwhile]');
  process.exit(2);
}
const [coordinator, postgresqlUrl, mysqlUrl, giver, taker, amount, hold = '0'] = args;
transfer({coordinator, postgresqlUrl, mysqlUrl, giver: Number(giver), taker: Number(taker),
          amount: Number(amount), holdMs: Number(hold)})
    .then((code) => process.exit(code), (error) => {
      console.error(error);
      process.exit(1);
    });

#include "txlog/decision_log.h"
#include "adapters/mysql/session.h"
#include <mysql_connection.h>
#include <pqxx/pqxx>

#include "coordinator/server/server.h"
#  include "relative.h"

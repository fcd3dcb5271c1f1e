// How the health of a log in etcd is shown: in /healthz, on the page of metrics, and to assentctl.
#pragma once

#include <string>
#include <vector>

#include "assent/v1/admin_service.pb.h"
#include "base/metrics/page.h"
#include "txlog/etcd/etcd_log.h"

namespace assent::coordinator {

// Why this node can't serve, in full: `reasons` are those of the driver.
std::vector<std::string> WithEtcd(std::vector<std::string> reasons,
                                  const txlog::EtcdHealth& health);

// Adds the assent_etcd_... families.
void Expose(const txlog::EtcdHealth& health, metrics::Page& page);

void Fill(const txlog::EtcdHealth& from, v1::LogStatus* to);

}  // namespace assent::coordinator

// What `assentctl certs` answers, as text and as JSON; see render.h.
#pragma once

#include <string>
#include <vector>

#include "ctl/certs/store.h"

namespace assent::ctl {

std::string IssuedText(const std::string& role, const certs::Files& files);
std::string IssuedJson(const certs::Files& files);

std::string CertificatesText(const std::vector<certs::Shown>& shown, certs::WallTime now);
std::string CertificatesJson(const std::vector<certs::Shown>& shown, certs::WallTime now);

}  // namespace assent::ctl

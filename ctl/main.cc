// assentctl: what is under way, what is in doubt and why, what to do by hand. docs/assentctl.md.
#include <iostream>

#include "ctl/ctl.h"

int main(int argc, char** argv) { return assent::ctl::Run(argc, argv, std::cout, std::cerr); }

// What packaged libraries leak, for LeakSanitizer; linked into every test. Our own code has no line
// here.
//   libpqxx 6.4   some 2 kB with each connection that is lost
//   libcares      a few bytes when a name is still being resolved (by gRPC) as the process ends
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libpqxx-6.4.so\nleak:libcares.so\n";
}

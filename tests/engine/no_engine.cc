// A shared object that has nothing to do with torc.
extern "C" int no_engine();
extern "C" int no_engine() { return 0; }

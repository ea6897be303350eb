//! The program whose system calls the crash rig records: see `hikyaku_testkit::crash`.

use hikyaku_testkit::crash::load::Load;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let load = Load::from_args(&args)
        .unwrap_or_else(|| panic!("expected FOLDER SEED GENERATION WORKERS EACH NOISE done|early [NOTE]…"));
    load.run();
}

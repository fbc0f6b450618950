//! The two tools: their configs, which say the same, and their commands.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is measured, in the order in which it is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    Apply,
    Plan,
    StatePlan,
    Tags,
    Destroy,
}

impl Phase {
    pub(crate) const ALL: [Self; 5] = [Self::Apply, Self::Plan, Self::StatePlan, Self::Tags, Self::Destroy];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Plan => "plan",
            Self::StatePlan => "state-plan",
            Self::Tags => "tags",
            Self::Destroy => "destroy",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Apply => "first apply",
            Self::Plan => "plan, nothing to do",
            Self::StatePlan => "plan, nothing to do, from the state alone",
            Self::Tags => "apply, a tag of all changes",
            Self::Destroy => "destroy",
        }
    }

    /// What the output of either tool says when it has done it to all of them.
    pub(crate) fn says(self, objects: u64) -> Option<String> {
        match self {
            Self::Apply => Some(format!(" {objects} added,")),
            Self::Tags => Some(format!(" {objects} changed,")),
            Self::Destroy => Some(format!(" {objects} destroyed.")),
            Self::Plan | Self::StatePlan => None,
        }
    }
}

/// A tool, and how it is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Tool {
    Fleetwright,
    Terraform,
    /// With what was found to help it: as many walkers as cores, no look before an apply, fewer collections of garbage.
    TerraformTuned,
}

impl Tool {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fleetwright => "fleetwright",
            Self::Terraform => "terraform",
            Self::TerraformTuned => "terraform, tuned",
        }
    }
}

/// Where the tools are.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) fleetwright: PathBuf,
    pub(crate) terraform: Option<PathBuf>,
    pub(crate) path: OsString,
    pub(crate) cores: usize,
}

impl Tools {
    /// Looks for terraform on the path.
    pub(crate) fn new(fleetwright: PathBuf, path: OsString, cores: usize) -> Self {
        let named = std::env::split_paths(&path).map(|dir| dir.join("terraform"));
        let terraform = named.into_iter().find(|file| file.is_file());
        Self { fleetwright, terraform, path, cores }
    }

    /// `fleetwright 0.1.0`; `Terraform v1.11.4`: the first line of what `--version` writes.
    pub(crate) fn version(&self, tool: Tool, dir: &Path) -> io::Result<Option<String>> {
        let Some(mut command) = self.command(tool, dir) else { return Ok(None) };
        let output = command.arg("--version").stderr(Stdio::null()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().map(|line| line.trim().to_owned()))
    }

    /// Writes the config, and makes ready what is not measured.
    pub(crate) fn prepare(&self, tool: Tool, dir: &Path, objects: u64) -> io::Result<()> {
        self.configure(tool, dir, objects, 1)?;
        if tool == Tool::Fleetwright {
            return Ok(());
        }
        let Some(mut command) = self.command(tool, dir) else { return Ok(()) };
        let output = command.args(["init", "-input=false", "-no-color"]).output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(format!("`terraform init` failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
    }

    /// The config, with a tag `release` of this value.
    pub(crate) fn configure(&self, tool: Tool, dir: &Path, objects: u64, release: u32) -> io::Result<()> {
        match tool {
            Tool::Fleetwright => fs::write(dir.join("main.yaml"), fleet(objects, release)),
            Tool::Terraform | Tool::TerraformTuned => {
                fs::write(dir.join("cli.tfrc"), "")?;
                fs::write(dir.join("main.tf"), terraform_data(objects, release))
            }
        }
    }

    /// The command of a phase, or nothing where the tool is not there. Its output goes to `output.txt`.
    pub(crate) fn phase(&self, tool: Tool, phase: Phase, dir: &Path) -> io::Result<Option<Command>> {
        let Some(mut command) = self.command(tool, dir) else { return Ok(None) };
        if tool == Tool::Fleetwright {
            command.args(match phase {
                Phase::Apply | Phase::Tags => ["apply", "--auto-approve"].as_slice(),
                Phase::Plan => &["plan", "--detailed-exitcode"],
                Phase::StatePlan => &["plan", "--detailed-exitcode", "--refresh=false"],
                Phase::Destroy => &["destroy", "--auto-approve"],
            });
        } else {
            command.args(match phase {
                Phase::Apply | Phase::Tags => ["apply", "-auto-approve"].as_slice(),
                Phase::Plan => &["plan", "-detailed-exitcode"],
                Phase::StatePlan => &["plan", "-detailed-exitcode", "-refresh=false"],
                Phase::Destroy => &["destroy", "-auto-approve"],
            });
            command.args(["-input=false", "-no-color"]);
            if tool == Tool::TerraformTuned {
                command.arg(format!("-parallelism={}", self.cores));
                if !matches!(phase, Phase::Plan | Phase::StatePlan) {
                    command.arg("-refresh=false");
                }
            }
        }
        let output = fs::File::create(output_of(dir))?;
        command.stderr(output.try_clone()?).stdout(output);
        Ok(Some(command))
    }

    /// Nothing of the environment reaches the tools but the path: settings of whoever runs this would be measured.
    fn command(&self, tool: Tool, dir: &Path) -> Option<Command> {
        let program: &OsStr = match tool {
            Tool::Fleetwright => self.fleetwright.as_os_str(),
            Tool::Terraform | Tool::TerraformTuned => self.terraform.as_ref()?.as_os_str(),
        };
        let mut command = Command::new(program);
        command.current_dir(dir).env_clear().env("PATH", &self.path).env("HOME", dir).stdin(Stdio::null());
        if tool != Tool::Fleetwright {
            command.env("TF_CLI_CONFIG_FILE", dir.join("cli.tfrc")).env("CHECKPOINT_DISABLE", "1");
        }
        if tool == Tool::TerraformTuned {
            command.env("GOGC", "400");
        }
        Some(command)
    }
}

/// Where the output of a command is put.
pub(crate) fn output_of(dir: &Path) -> PathBuf {
    dir.join("output.txt")
}

fn fleet(objects: u64, release: u32) -> String {
    format!(
        r#"project: compare
cloud: {{ provider: embedded, region: ap-guangzhou, latency: instant, limits: {{ instances_per_zone: 2000000 }} }}
images:
  ubuntu:
    public: {{ name: "Ubuntu Server 22.04 LTS 64bit" }}
fleets:
  web:
    image: ubuntu
    count: {objects}
    zones: [ap-guangzhou-3, ap-guangzhou-4]
    type: S5.MEDIUM4
    login: {{ key_ids: [skey-8a7c6b5d] }}
    tags: {{ app: web, release: "{release}" }}
"#
    )
}

fn terraform_data(objects: u64, release: u32) -> String {
    format!(
        r#"resource "terraform_data" "web" {{
  count = {objects}
  input = {{
    name  = "compare-default-web-${{3 + count.index % 2}}-${{floor(count.index / 2)}}"
    image = "Ubuntu Server 22.04 LTS 64bit"
    zone  = "ap-guangzhou-${{3 + count.index % 2}}"
    type  = "S5.MEDIUM4"
    login = "skey-8a7c6b5d"
    tags  = {{ app = "web", release = "{release}" }}
  }}
}}
"#
    )
}

//! The resource of a record: the process that it is of, its host, unit, container and pod.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry_proto::tonic::common::v1::KeyValue;

use super::limits::RESOURCES;
use super::{conventions::attribute as names, number_attribute, text_attribute};
use crate::base::users::user_of;
use crate::debuginfo::object::ObjectFile;
use crate::session::Control;
use crate::target::select::{KnownContainers, ProcessFacts, pod_uid, service_unit};

/// Between two looks at the files of container runtimes, for a container that they did not know.
const CONTAINERS_PAUSE: Duration = Duration::from_secs(1);

/// Nanoseconds since the Unix epoch.
pub(super) fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// Makes resources.
pub(super) struct Resources {
    /// Attributes that the user gave, which replace ours.
    given: Vec<KeyValue>,
    host: Vec<KeyValue>,
    by_pid: HashMap<u32, Arc<[KeyValue]>>,
    session: Option<Arc<[KeyValue]>>,
    containers: KnownContainers,
    containers_read: Option<Instant>,
}

impl Resources {
    /// `given` are attributes of all resources, which the user gave.
    pub(super) fn new(given: Vec<KeyValue>) -> Self {
        Self {
            given,
            host: host(),
            by_pid: HashMap::new(),
            session: None,
            containers: KnownContainers::default(),
            containers_read: None,
        }
    }

    /// Another program has this process id, or executes another file: reads it again at once, since it may
    /// end soon.
    pub(super) fn came(&mut self, pid: u32) {
        self.by_pid.remove(&pid);
        self.of(pid);
    }

    /// The resource of a process.
    pub(super) fn of(&mut self, pid: u32) -> Arc<[KeyValue]> {
        if let Some(known) = self.by_pid.get(&pid) {
            return Arc::clone(known);
        }
        if self.by_pid.len() >= RESOURCES {
            self.by_pid.clear();
        }
        let attributes = self.process(pid).unwrap_or_else(|| {
            // It has ended already.
            vec![
                text_attribute(names::SERVICE_NAME, "unknown_service"),
                number_attribute(names::PROCESS_PID, pid.into()),
            ]
        });
        let resource = self.complete(attributes);
        self.by_pid.insert(pid, Arc::clone(&resource));
        resource
    }

    /// The resource of the aggregates: that of the only process, or of all that `service` stands for.
    pub(super) fn of_session(&mut self, only: Option<u32>, service: &str) -> Arc<[KeyValue]> {
        match only {
            Some(pid) => self.of(pid),
            None => self.complete(vec![text_attribute(names::SERVICE_NAME, service)]),
        }
    }

    /// The resource of a session's aggregates.
    pub(super) fn of_control(&mut self, control: &dyn Control) -> Arc<[KeyValue]> {
        if let Some(known) = &self.session {
            return Arc::clone(known);
        }
        let only = control
            .target()
            .pid
            .filter(|_| control.followed().is_none());
        let mut programs = control.targets().into_iter().map(|target| target.program);
        let first = programs.next();
        let is_known = first.is_some() || only.is_some();
        let service = match first {
            Some(first) if programs.all(|other| other == first) => first.to_string(),
            _ => "tracer".to_owned(),
        };
        let resource = self.of_session(only, &service);
        // It stays, so that all points have the same.
        self.session = is_known.then(|| Arc::clone(&resource));
        resource
    }

    /// Adds the host, and what the user gave instead of ours.
    fn complete(&self, mut attributes: Vec<KeyValue>) -> Arc<[KeyValue]> {
        attributes.extend(self.host.iter().cloned());
        let is_given = |key: &str| self.given.iter().any(|given| given.key == key);
        attributes.retain(|attribute| !is_given(&attribute.key));
        attributes.extend(self.given.iter().cloned());
        attributes.into()
    }

    fn process(&mut self, pid: u32) -> Option<Vec<KeyValue>> {
        let facts = ProcessFacts::read(pid)?;
        let container = facts.container_id().map(str::to_owned);
        let cgroup = facts.cgroup().map(str::to_owned);
        let mut attributes = vec![
            number_attribute(names::PROCESS_PID, pid.into()),
            number_attribute(names::PROCESS_PARENT_PID, facts.parent.into()),
            text_attribute(names::PROCESS_EXECUTABLE_NAME, facts.executable.name()),
            text_attribute(
                names::PROCESS_EXECUTABLE_PATH,
                facts.executable.path.to_string_lossy(),
            ),
        ];
        if let Some(id) = build_id(pid) {
            attributes.push(text_attribute(names::PROCESS_EXECUTABLE_BUILD_ID_GNU, id));
        }
        if let Some(user) = user_of(facts.uid) {
            attributes.push(text_attribute(names::PROCESS_OWNER, user.name));
        }
        let mut service = None;
        if let Some(cgroup) = cgroup {
            service = service_unit(&cgroup).map(str::to_owned);
            if let Some(uid) = pod_uid(&cgroup) {
                attributes.push(text_attribute(names::K8S_POD_UID, uid));
            }
            attributes.push(text_attribute(names::PROCESS_LINUX_CGROUP, cgroup));
        }
        if let Some(id) = container {
            let name = self.container(&id, &mut attributes);
            // A runtime's unit is not the program's.
            service = name;
        }
        let service = service.unwrap_or_else(|| facts.name());
        attributes.insert(0, text_attribute(names::SERVICE_NAME, service));
        Some(attributes)
    }

    /// Adds what is known of a container. Returns its name, if it has one.
    fn container(&mut self, id: &str, attributes: &mut Vec<KeyValue>) -> Option<String> {
        let may_look = self
            .containers_read
            .is_none_or(|read| read.elapsed() >= CONTAINERS_PAUSE);
        if self.containers.get(id).is_none() && may_look {
            self.containers = KnownContainers::read(Path::new("/"));
            self.containers_read = Some(Instant::now());
        }
        attributes.push(text_attribute(names::CONTAINER_ID, id));
        let known = self.containers.get(id)?;
        let runtime = known.runtime.to_string().to_lowercase();
        attributes.push(text_attribute(names::CONTAINER_RUNTIME_NAME, runtime));
        let name = known.names.first()?.clone();
        attributes.push(text_attribute(names::CONTAINER_NAME, &name));
        if let Some(pod) = &known.pod {
            attributes.push(text_attribute(names::K8S_POD_NAME, &pod.name));
            attributes.push(text_attribute(names::K8S_CONTAINER_NAME, &name));
            if let Some(namespace) = &pod.namespace {
                attributes.push(text_attribute(names::K8S_NAMESPACE_NAME, namespace));
            }
        }
        Some(name)
    }
}

/// The build id of the program that a process executes.
fn build_id(pid: u32) -> Option<String> {
    let exe = format!("/proc/{pid}/exe");
    let file = ObjectFile::open(Path::new(&exe), Path::new(&exe)).ok()?;
    let digits = file.build_id()?.iter().map(|byte| format!("{byte:02x}"));
    Some(digits.collect())
}

/// The host, as this process sees it.
fn host() -> Vec<KeyValue> {
    let system = rustix::system::uname();
    let mut attributes = vec![
        text_attribute(names::HOST_NAME, system.nodename().to_string_lossy()),
        text_attribute(names::HOST_ARCH, arch(&system.machine().to_string_lossy())),
        text_attribute(names::OS_TYPE, "linux"),
        text_attribute(names::OS_VERSION, system.release().to_string_lossy()),
    ];
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    if !id.trim().is_empty() {
        attributes.push(text_attribute(names::HOST_ID, id.trim()));
    }
    attributes
}

/// The conventions' name of a machine.
fn arch(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn text<'a>(resource: &'a [KeyValue], key: &str) -> Option<&'a str> {
        use opentelemetry_proto::tonic::common::v1::any_value::Value;
        let mut of_key = resource.iter().filter(|attribute| attribute.key == key);
        let found = of_key.next()?;
        assert!(of_key.next().is_none(), "{key} is there twice");
        match found.value.as_ref()?.value.as_ref()? {
            Value::StringValue(text) => Some(text),
            other => panic!("{key} is {other:?}"),
        }
    }

    #[test]
    fn process_is_described_and_keeps_its_resource_when_it_has_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let pid = child.id();
        while ProcessFacts::read(pid).is_none_or(|facts| facts.comm != "sleep") {
            std::thread::yield_now();
        }
        let mut resources = Resources::new(Vec::new());
        resources.came(pid);
        child.kill().expect("killed");
        child.wait().expect("its end");
        let resource = resources.of(pid);
        assert_eq!(
            text(&resource, names::PROCESS_EXECUTABLE_NAME),
            Some("sleep")
        );
        let id = text(&resource, names::PROCESS_EXECUTABLE_BUILD_ID_GNU).expect("sleep has one");
        assert!(
            id.len() >= 32 && id.chars().all(|c| c.is_ascii_hexdigit()),
            "{id}"
        );
        assert!(text(&resource, names::SERVICE_NAME).is_some());
        assert!(text(&resource, names::HOST_NAME).is_some());
        resources.came(pid);
        let gone = resources.of(pid);
        assert_eq!(text(&gone, names::SERVICE_NAME), Some("unknown_service"));
    }

    #[test]
    fn given_attributes_replace_ours() {
        let given = vec![
            text_attribute("service.name", "shop"),
            text_attribute("team", "a"),
        ];
        let mut resources = Resources::new(given);
        let own = resources.of(std::process::id());
        assert_eq!(text(&own, "service.name"), Some("shop"));
        assert_eq!(text(&own, "team"), Some("a"));
        let session = resources.of_session(None, "--unit x");
        assert_eq!(text(&session, "service.name"), Some("shop"));
    }
}

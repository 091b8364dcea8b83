//! The fixed words of messages.

use nightjar_model::kinds::contact::Language;
use serde::Serialize;

use crate::evaluation::Change;

#[derive(Debug, Serialize)]
pub(super) struct Labels {
    language: &'static str,
    firing: &'static str,
    reminded: &'static str,
    recovered: &'static str,
    closed: &'static str,
    rule: &'static str,
    level: &'static str,
    monitor: &'static str,
    keys: &'static str,
    figures: &'static str,
    reason: &'static str,
    time: &'static str,
    started: &'static str,
    lasted: &'static str,
    minutes: &'static str,
    advice: &'static str,
    link: &'static str,
    console: &'static str,
    colon: &'static str,
    pub(super) test_title: &'static str,
    pub(super) test_text: &'static str,
}

static CHINESE: Labels = Labels {
    language: "zh-CN",
    firing: "告警",
    reminded: "仍在告警",
    recovered: "恢复",
    closed: "关闭",
    rule: "规则",
    level: "级别",
    monitor: "监控",
    keys: "对象",
    figures: "指标",
    reason: "原因",
    time: "时间",
    started: "开始",
    lasted: "持续",
    minutes: "分钟",
    advice: "建议",
    link: "处理链接",
    console: "在控制台查看",
    colon: "：",
    test_title: "夜鹰测试消息",
    test_text: "收到这条消息，说明通道可用：",
};

static ENGLISH: Labels = Labels {
    language: "en-US",
    firing: "Firing",
    reminded: "Still firing",
    recovered: "Recovered",
    closed: "Closed",
    rule: "Rule",
    level: "Level",
    monitor: "Monitor",
    keys: "Object",
    figures: "Figures",
    reason: "Reason",
    time: "Time",
    started: "Started",
    lasted: "Lasted",
    minutes: "min",
    advice: "Advice",
    link: "Link",
    console: "Open in the console",
    colon: ": ",
    test_title: "Nightjar test message",
    test_text: "You have received this, so the channel works:",
};

pub(super) fn of(language: Language) -> &'static Labels {
    match language {
        Language::Chinese => &CHINESE,
        Language::English => &ENGLISH,
    }
}

impl Labels {
    pub(super) const fn status(&self, change: Change) -> &'static str {
        match change {
            Change::Fired => self.firing,
            Change::Reminded => self.reminded,
            Change::Recovered => self.recovered,
            Change::Closed => self.closed,
        }
    }
}

# Prints one JSON-free line per message: path TAB score TAB names of rules hit, then of sub-rules (with counts).
use strict; use warnings;
use Mail::SpamAssassin;
my ($rules, $site, $list, $root) = @ARGV;
my $sa = Mail::SpamAssassin->new({ rules_filename => $rules, site_rules_filename => $site, userprefs_filename => '/dev/null',
  local_tests_only => 1, dont_copy_prefs => 1, username => 'nobody', userstate_dir => '/tmp/sa-peer/state', debug => $ENV{SADEBUG} || 0 });
$sa->init(1);
open my $l, '<', $list or die; $| = 1;
while (my $p = <$l>) { chomp $p;
  open my $f, '<', "$root/$p" or next; local $/; my $raw = <$f>; close $f;
  my $m = $sa->parse($raw, 1); my $s = $sa->check($m);
  my $subs = $s->get_names_of_subtests_hit('dbg') // '';
  print join("\t", $p, $s->get_score, $s->get_names_of_tests_hit // '', $subs), "\n";
  $s->finish; $m->finish; $/ = "\n";
}

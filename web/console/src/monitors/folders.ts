/** Folders as a tree, made from the paths in use. */

export interface FolderNode {
  key: string;
  title: string;
  count: number;
  children: FolderNode[];
}

/** The tree of `paths` with, for each folder, how many of `members` are in it or under it. */
export function folderTree(paths: readonly string[], members: readonly string[]): FolderNode[] {
  const root: FolderNode = { key: '', title: '', count: 0, children: [] };
  const nodeOf = (path: string): FolderNode => {
    let node = root;
    let key = '';
    for (const title of path.split('/').filter((part) => part !== '')) {
      key = key ? `${key}/${title}` : title;
      let child = node.children.find((one) => one.key === key);
      if (!child) {
        child = { key, title, count: 0, children: [] };
        node.children.push(child);
      }
      node = child;
    }
    return node;
  };
  for (const path of [...paths, ...members]) nodeOf(path);
  const visit = (node: FolderNode) => {
    node.count = members.filter((member) => inFolder(member, node.key)).length;
    node.children.sort((a, b) => a.title.localeCompare(b.title));
    node.children.forEach(visit);
  };
  visit(root);
  return root.children;
}

/** Whether something in the folder `path` is in `folder` or under it; everything is under the top. */
export function inFolder(path: string, folder: string): boolean {
  return folder === '' || path === folder || path.startsWith(`${folder}/`);
}
